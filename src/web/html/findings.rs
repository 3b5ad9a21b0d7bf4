//! What the last run of a check found in detail: a table, and the commands that fix it.

use maud::{Markup, html};

use super::text::{Text, count};
use crate::model::Findings;

/// Renders the findings of the last run of the check `check_name`.
pub(super) fn section(check_name: &str, findings: &Findings) -> Markup {
    let list = findings.list();
    html! {
        @if let Some(fix) = findings.fix() { p.fix { "To fix it, run: " code { (Text(fix)) } } }
        @if !list.is_empty() {
            details data-key="findings" open {
                summary { (count(list.len() + findings.omitted(), "finding")) " of the last run" }
                div.scroll tabindex="0" role="region" aria-label={ "Findings of " (check_name) } {
                    table {
                        thead { tr { th scope="col" { "Subject" } th scope="col" { "State" } th scope="col" { "Detail" } th scope="col" { "Fix" } } }
                        tbody { @for finding in list {
                            tr {
                                th scope="row" { code { (Text(&finding.subject)) } }
                                td { (finding.state) }
                                td { (Text(&finding.detail)) }
                                td { @if let Some(fix) = &finding.fix { code { (Text(fix)) } } }
                            }
                        } }
                    }
                }
                @if findings.omitted() > 0 { p.empty { (findings.omitted()) " more are not shown." } }
            }
        }
    }
}
