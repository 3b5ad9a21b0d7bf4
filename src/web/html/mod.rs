//! Renders the status page on the server. It is readable without a script; a small script refreshes it.
//!
//! `overview`, `detail`, `widget` and `models` are the pages, and `actions` has the buttons of `detail`. `parts` has what they share, `text` formats texts, times and durations,
//! `past` renders strips, `history` and `chart` the past of a service on its page, `filter` selects services, and `assets` holds the files that the pages load.

mod actions;
mod assets;
mod chart;
mod detail;
mod filter;
mod findings;
mod heal;
mod history;
mod job;
mod models;
mod overview;
mod parts;
mod past;
mod text;
mod widget;

pub(super) use actions::action_failed;
pub(super) use assets::find as find_asset;
pub(super) use detail::{not_found, service};
pub(super) use filter::Filter;
pub(super) use history::PastView;
pub(super) use models::models;
pub(super) use overview::{layout_hash, overview, row};
pub(super) use past::PastRange;
pub(super) use text::rfc3339;
pub(super) use widget::widget;

/// The script that embeds the widget in other pages.
pub(super) const WIDGET_SCRIPT: &str = include_str!("widget.js");
