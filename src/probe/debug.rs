//! The response with `debug=true`.

use std::fmt::Write;

use super::request::ProbeRequest;
use super::run::ProbeResult;
use crate::config::probe::Module;
use crate::model::DebugLog;

/// The response with `debug=true`: the steps, the result, the metrics and the module.
pub(super) fn render(
    request: &ProbeRequest<'_>,
    module: &Module,
    result: &ProbeResult,
    metrics: &str,
) -> String {
    let mut text = String::from("Steps of the probe:\n");
    for (at, line) in result.debug_log.iter().flat_map(DebugLog::lines) {
        let _ = writeln!(text, "{:>10.3} ms  {line}", at.as_secs_f64() * 1000.0);
    }
    let _ = match &result.result {
        Ok(()) => writeln!(text, "\nThe probe succeeded.\n"),
        Err(problem) => writeln!(text, "\nThe probe failed: {problem}\n"),
    };
    let _ = write!(
        text,
        "Metrics that would have been returned:\n{metrics}\nModule {}:{}",
        request.module, module.shown
    );
    text
}
