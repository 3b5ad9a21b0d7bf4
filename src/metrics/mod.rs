//! The metric table and what is made of it: the exposition formats, the documentation, the number of series.

mod check;
mod classic;
mod count;
mod docs;
mod encode;
mod exporter;
mod own_process;
mod probe;
mod renderer;
mod series;
mod service;
mod table;

pub use classic::to_classic;
pub use count::series_count;
pub use docs::markdown;
pub use encode::to_openmetrics;
pub use own_process::OwnProcess;
pub use probe::probe_text;
pub use renderer::{Format, Renderer};
pub use table::families;
