//! The job that a heartbeat check watches: its state, and its last beats.

use maud::{Markup, html};

use super::text::{LongText, Text, count, format_age, format_latency, time, time_with_zone};
use crate::model::{BeatView, JobState, JobView};

/// Renders the facts about a job, for the list of facts of its check.
pub(super) fn facts(taken: f64, job: &JobView) -> Markup {
    html! {
        div { dt { "Job" } dd { (describe(job.state)) } }
        div { dt { "Last job success" } dd { @match job.last_success {
            Some(at) => { (time_with_zone(at, taken)) ", " (format_age(taken - at)) " ago" }, None => { "none yet" },
        } } }
        @if let Some(at) = job.last_start {
            div { dt { "Last start" } dd { (time_with_zone(at, taken)) ", " (format_age(taken - at)) " ago" } }
        }
        @if job.open_runs > 0 { div { dt { "Unfinished" } dd { (count(job.open_runs, "run")) } } }
        @if let Some(due) = job.due {
            div { dt { "Next due" } dd {
                (time_with_zone(due, taken))
                @if due > taken { ", in " (format_age(due - taken)) } @else { ", " (format_age(taken - due)) " ago" }
                @if let Some(deadline) = job.deadline { "; down from " (time_with_zone(deadline, taken)) " on" }
            } }
        }
    }
}

const fn describe(state: JobState) -> &'static str {
    match state {
        JobState::New => "new: it has not reported yet",
        JobState::Running => "running",
        JobState::Up => "up",
        JobState::Late => "late: its success is overdue",
        JobState::Down => "down",
        JobState::Failed => "failed: it reported a failure",
    }
}

/// Renders the last beats of the job of the check `check_name`, newest first.
pub(super) fn beats(taken: f64, check_name: &str, job: &JobView) -> Markup {
    html! {
        @if !job.beats.is_empty() {
            details data-key="beats" open {
                summary { "Last " (count(job.beats.len(), "beat")) }
                div.scroll tabindex="0" role="region" aria-label={ "Last beats of " (check_name) } {
                    table {
                        thead { tr { th scope="col" { "Arrived (UTC)" } th scope="col" { "Type" } th scope="col" { "Run" } th.number scope="col" { "Run time" } th scope="col" { "Message" } } }
                        tbody { @for beat in &job.beats {
                            tr {
                                th scope="row" { (time(beat.at, taken)) }
                                td { (kind(beat)) }
                                td { @if let Some(id) = &beat.run_id { code { (Text(id)) } } }
                                td.number { @match beat.run_time { Some(time) => { (format_latency(time)) }, None => { "\u{2013}" } } }
                                td { @if !beat.message.is_empty() { pre { (LongText(&beat.message)) } } }
                            }
                        } }
                    }
                }
            }
        }
    }
}

fn kind(beat: &BeatView) -> Markup {
    html! {
        (beat.kind.as_str())
        @if let Some(status) = beat.exit_status { ", exit status " (status) }
    }
}
