//! `/badge/{service}.svg` and `/badge/group/{group}.svg`: the status or the uptime as a small picture, for documents and other pages.

use std::sync::Arc;

use http::header::CACHE_CONTROL;
use http::{HeaderMap, StatusCode};
use maud::html;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::api::{find_group, rendered, unknown_service};
use super::error_reply::ApiError;
use super::html::PastRange;
use super::query::{parse, quote};
use super::reply::Reply;
use super::state::State;
use crate::history::{Range, Reader};
use crate::model::{Status, format_percent};
use crate::store::{ServiceView, Snapshot};

/// How long a badge may be cached. Pages with many readers cause few requests.
const CACHED: &str = "max-age=30";

/// The maximum number of columns of the left part. Longer names are truncated.
const MAX_COLUMNS: usize = 40;

/// The width of a column of text at a size of 11 pixels, and the space at both sides of a text, in pixels.
const COLUMN: usize = 7;
const SPACE: usize = 12;

/// What a badge is about.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// The service with this key.
    Service(String),
    /// The group with this name.
    Group(String),
}

/// What a badge shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// The status.
    Status,
    /// The uptime of this range.
    Uptime(PastRange),
}

impl Shown {
    /// Parses a query: `show=status`, `show=uptime` and `range=30d`.
    ///
    /// # Errors
    /// The message of a 400.
    pub fn parse(query: Option<&str>) -> Result<Self, String> {
        let [show, range] = parse(query, ["show", "range"])?;
        let range = range
            .map(|range| PastRange::parse(&range, &PastRange::ALL))
            .transpose()?;
        match (show.as_deref(), range) {
            (None | Some("status"), None) => Ok(Self::Status),
            (Some("uptime"), range) => Ok(Self::Uptime(range.unwrap_or(PastRange::Month))),
            (None | Some("status"), Some(_)) => Err("range needs show=uptime".to_owned()),
            (Some(other), _) => Err(format!(
                "unknown value {} of show; supported: status, uptime",
                quote(other)
            )),
        }
    }
}

/// Replies with a badge.
pub(super) async fn badge(
    state: &Arc<State>,
    subject: Subject,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Reply, ApiError> {
    if !state.has_badges {
        let text = "badges are disabled; start the exporter with --web.badges";
        return Err(ApiError::new(StatusCode::FORBIDDEN, text.to_owned()));
    }
    let shown = Shown::parse(query).map_err(ApiError::bad_request)?;
    let name = format!("badge {subject:?} {shown:?}");
    let reader = state.history.clone();
    let reply = rendered(state, name, headers, "image/svg+xml", move |snapshot| {
        let (label, views) = find(snapshot, &subject)?;
        Ok(render(&label, &views, shown, &reader).into_bytes())
    });
    Ok(reply
        .await?
        .with(CACHE_CONTROL.as_str(), CACHED)
        .with("content-security-policy", "default-src 'none'"))
}

/// The label of a badge, and the services that it is about.
fn find<'s>(snapshot: &'s Snapshot, subject: &Subject) -> Result<(String, Vec<&'s ServiceView>), ApiError> {
    let services = snapshot.services.iter();
    match subject {
        Subject::Service(key) => {
            let mut services = services;
            let view = services.find(|view| view.service.key.as_str() == key);
            let view = view.ok_or_else(|| unknown_service(key, snapshot))?;
            Ok((view.service.name.clone(), vec![view]))
        }
        Subject::Group(group) => {
            find_group(snapshot, Some(group))?;
            let views = services.filter(|view| view.service.group == *group);
            Ok((group.clone(), views.collect()))
        }
    }
}

/// The value of a badge with its colour.
#[allow(clippy::cast_precision_loss, reason = "there are fewer than 2^52 services")]
fn value(views: &[&ServiceView], shown: Shown, reader: &Reader) -> (String, &'static str) {
    match shown {
        Shown::Status => {
            let worst = Status::worst(views.iter().map(|view| view.status));
            if views
                .iter()
                .any(|view| view.status == worst && view.maintenance.is_some())
            {
                return ("maintenance".to_owned(), "#566270");
            }
            (worst.as_str().to_owned(), colour(worst))
        }
        Shown::Uptime(range) => {
            let now = reader.now();
            let range_of_times = Range {
                from: now - range.seconds(),
                to: now,
            };
            let uptimes: Vec<f64> = views
                .iter()
                .filter_map(|view| reader.totals(view.service.key.as_str(), range_of_times, range.step()))
                .filter_map(|totals| totals.uptime())
                .collect();
            if uptimes.is_empty() {
                return ("no data".to_owned(), colour(Status::Unknown));
            }
            let average = uptimes.iter().sum::<f64>() / uptimes.len() as f64;
            let colour = match average {
                ratio if ratio >= 0.999 => colour(Status::Up),
                ratio if ratio >= 0.99 => colour(Status::Degraded),
                _ => colour(Status::Down),
            };
            (
                format!("{}% in {}", format_percent(average, 2), range.words()),
                colour,
            )
        }
    }
}

/// Dark enough for white text (WCAG 2.2, contrast of 4.5 to 1).
const fn colour(status: Status) -> &'static str {
    match status {
        Status::Up => "#0b6e4f",
        Status::Degraded => "#8a4b00",
        Status::Down => "#b3200f",
        Status::Unknown => "#566270",
    }
}

/// Renders a badge. Its texts say the same as its colours.
fn render(label: &str, views: &[&ServiceView], shown: Shown, reader: &Reader) -> String {
    let (value, colour) = value(views, shown, reader);
    let label = shorten(label);
    let (left, right) = (width(&label), width(&value));
    let total = left + right;
    let alternative = format!("{label}: {value}");
    html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(total) height="20" viewBox={ "0 0 " (total) " 20" } role="img"
            aria-label=(alternative) {
            title { (alternative) }
            rect width=(left) height="20" fill="#333c44" {}
            rect x=(left) width=(right) height="20" fill=(colour) {}
            g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle" {
                (text(&label, left / 2, left))
                (text(&value, left + right / 2, right))
            }
        }
    }
    .into_string()
}

/// A text that fits into its part, whatever the font.
fn text(text: &str, middle: usize, part: usize) -> maud::Markup {
    html! {
        text x=(middle) y="14" textLength=(part.saturating_sub(SPACE)) lengthAdjust="spacingAndGlyphs" { (text) }
    }
}

fn width(text: &str) -> usize {
    text.width() * COLUMN + SPACE
}

/// Removes invisible characters, and truncates a text with an ellipsis.
fn shorten(text: &str) -> String {
    let mut columns = 0;
    let visible = text
        .chars()
        .filter(|character| !character.is_control() && !crate::model::is_invisible(*character));
    let mut shortened = String::new();
    for character in visible {
        columns += character.width().unwrap_or(0);
        if columns >= MAX_COLUMNS {
            shortened.push('\u{2026}');
            break;
        }
        shortened.push(character);
    }
    shortened
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_shortened() {
        assert_eq!(shorten("api\u{202e}\n"), "api");
        assert_eq!(shorten(&"x".repeat(100)).chars().count(), MAX_COLUMNS);
    }

    #[test]
    fn a_query_selects_what_is_shown() {
        let parse = |query| Shown::parse(Some(query));
        assert_eq!(Shown::parse(None), Ok(Shown::Status));
        assert_eq!(parse("show=uptime"), Ok(Shown::Uptime(PastRange::Month)));
        assert_eq!(parse("show=uptime&range=24h"), Ok(Shown::Uptime(PastRange::Day)));
        assert!(parse("range=24h").unwrap_err().contains("show=uptime"));
        assert!(parse("show=x").unwrap_err().contains("supported: status, uptime"));
        assert!(parse("show=uptime&range=1y").is_err());
    }
}
