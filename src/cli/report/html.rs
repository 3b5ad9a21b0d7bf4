//! Formats a report as a page that needs no other file, for mail and archives.

use maud::{DOCTYPE, html};

use super::document::Report;
use super::sections::{sections, title};

const STYLE: &str = "\
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color-scheme: light dark; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid #8886; padding: .3rem .6rem; text-align: left; }
div { overflow-x: auto; }";

/// Formats the report as HTML.
pub fn format_html(report: &Report) -> String {
    let title = title(report);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (STYLE) }
            }
            body {
                h1 { (title) }
                @for section in sections(report) {
                    h2 { (section.title) }
                    div tabindex="0" role="region" aria-label=(section.title) {
                        table {
                            thead { tr { @for cell in &section.header { th scope="col" { (cell) } } } }
                            tbody {
                                @for row in &section.rows { tr { @for cell in row { td { (cell) } } } }
                            }
                        }
                    }
                    @if let Some(note) = &section.note { p { (note) } }
                }
                p { "Source: " (report.source) }
            }
        }
    };
    page.into_string() + "\n"
}
