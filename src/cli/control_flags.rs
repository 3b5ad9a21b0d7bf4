//! The flags that commands over the control socket share.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::duration;

/// The flags of all commands that a running exporter executes.
#[derive(Debug, clap::Args)]
pub struct OutputFlags {
    /// Control socket of the exporter; default: the first of the server's default paths that exists
    #[arg(long = "control.socket", value_name = "PATH")]
    pub control_socket: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Parses a length of time for the exporter.
pub fn whole_seconds(text: &str) -> Result<Duration, String> {
    let length = duration::parse(text).map_err(|error| error.to_string())?;
    match length.subsec_nanos() {
        0 if !length.is_zero() => Ok(length),
        _ => Err("write whole seconds, such as 30m".to_owned()),
    }
}
