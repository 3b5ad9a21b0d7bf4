//! The python check against environments that pip, uv and Poetry made. Their own judgements are the expected results.

mod environments;
mod hostile;
mod locks;
mod project;
mod speed;
