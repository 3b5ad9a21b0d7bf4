//! Tests of the judgement of results. The programs themselves run in tests/components/exec.rs.

use std::path::PathBuf;

use super::*;

fn settings(format: ExecFormat) -> ExecSettings {
    ExecSettings {
        program: "/plugins/check_load".into(),
        arguments: Vec::new(),
        secrets: Vec::new(),
        format,
        user: None,
        allowed: [PathBuf::from("/plugins")].into(),
    }
}

/// The problem or warning of a result, and the values.
fn judged(format: ExecFormat, status: i32, output: &str, errors: &str) -> (Option<String>, Vec<f64>) {
    let output = Output {
        ended: Ended::Exited(status),
        output: output.into(),
        error_tail: errors.into(),
    };
    let mut report = Report::default();
    let result = judge(&settings(format), status, &output, &mut report);
    let warning = report.warning.map(|warning| format!("warning: {warning}"));
    let problem = result.err().map(|problem| match problem.shortage {
        Some(shortage) => format!("{}: {}", shortage.as_str(), problem.message()),
        None => problem.to_string(),
    });
    let values = report.samples.iter().map(|sample| sample.value).collect();
    (problem.or(warning), values)
}

#[test]
fn exit_statuses_of_plugins_are_statuses() {
    for (status, expected) in [
        (0, None),
        (1, Some("warning: status: LOAD - high")),
        (2, Some("status: LOAD - high")),
        (3, Some("undecided: LOAD - high")),
        (
            4,
            Some("protocol: exit status 4, but plugins exit with 0 to 3: LOAD - high"),
        ),
        (
            127,
            Some("protocol: exit status 127, but plugins exit with 0 to 3: LOAD - high"),
        ),
    ] {
        let (problem, values) = judged(ExecFormat::Nagios, status, "LOAD - high |load1=7.5", "");
        assert_eq!(problem.as_deref(), expected, "{status}");
        assert_eq!(values, [7.5], "{status}");
    }
}

#[test]
fn without_output_the_errors_are_the_message() {
    let (problem, _) = judged(ExecFormat::Nagios, 2, "\n", "a\nno such host\n\n");
    assert_eq!(problem.as_deref(), Some("status: no such host"));
    let (problem, _) = judged(ExecFormat::ExitCode, 9, "", "");
    let expected = "status: exit status 9: /plugins/check_load printed no message";
    assert_eq!(problem.as_deref(), Some(expected));
}

/// The end of a secret is not recognized as a secret.
#[test]
fn a_word_that_was_cut_is_not_in_the_message() {
    let tail = format!("unter2 failed: {}", "x ".repeat(200));
    let (problem, _) = judged(ExecFormat::ExitCode, 1, "", &tail);
    let problem = problem.unwrap();
    assert!(
        problem.starts_with("status: exit status 1: failed: x x"),
        "{problem}"
    );
}

#[test]
fn metrics_are_read_only_after_success() {
    let metrics = "depth{queue=\"a\"} 3\n";
    assert_eq!(judged(ExecFormat::Prometheus, 0, metrics, ""), (None, vec![3.0]));
    let (problem, values) = judged(ExecFormat::Prometheus, 1, metrics, "lost the server");
    assert_eq!(problem.as_deref(), Some("status: exit status 1: lost the server"));
    assert_eq!(values, [] as [f64; 0]);
    let (problem, _) = judged(ExecFormat::Prometheus, 0, "<html>", "");
    let expected = "protocol: /plugins/check_load: line 1 of the output is not a sample: <html>";
    assert_eq!(problem.as_deref(), Some(expected));
}
