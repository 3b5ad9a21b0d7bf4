//! The status page: rendered on the server, readable without a script, kept fresh by a small one.
//!
//! `overview`, `detail` and `widget` are the pages; `parts` has what they share, `text` how foreign texts, times and
//! durations are written, `filter` which services are shown, `assets` the files that the pages load.

mod assets;
mod detail;
mod filter;
mod overview;
mod parts;
mod reply;
mod text;
mod widget;

pub(super) use filter::Filter;
pub(super) use overview::{layout, row};
pub(super) use reply::{Wanted, file, page, widget_script};
pub(super) use text::rfc3339;

use assets::find as asset;
use detail::{service, unknown};
use overview::overview;
use widget::widget;

/// Everything comes from the exporter itself; nothing is inline, and no page may embed it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The same for the widget, which any page may embed.
const WIDGET_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors *";
