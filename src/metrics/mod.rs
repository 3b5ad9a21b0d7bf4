//! The table of metrics. The expositions, the documentation and the number of series are generated from it.

mod check;
mod count;
mod docs;
mod exporter;
mod exposition;
mod format;
mod heal;
mod labels;
mod names;
mod number;
mod own_process;
mod own_process_rows;
mod probe;
mod protobuf;
mod renderer;
mod row;
mod samples;
mod service;
mod table;
mod views;
mod writer;

pub use count::series_count;
pub use docs::markdown;
pub use exposition::Exposition;
pub use format::Format;
pub use own_process::OwnProcess;
pub use probe::probe_text;
pub use renderer::Renderer;
pub use table::families;
pub use views::{Input, ProbeView, StatusFileView, Views, WebView};
