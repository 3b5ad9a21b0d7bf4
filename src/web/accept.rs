//! Content negotiation: `Accept` and `Accept-Encoding` (RFC 9110, sections 12.4.2 and 12.5).

use super::encoding::Encoding;
use crate::metrics::Format;

/// The maximum number of list elements that are parsed. Real clients send fewer than ten.
const MAX_ELEMENTS: usize = 64;
/// A weight of one, in thousandths.
const FULL_WEIGHT: u16 = 1000;

const OPENMETRICS: &str = "application/openmetrics-text";
const PROTOBUF: &str = "application/vnd.google.protobuf";

/// The media type of a response with metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// OpenMetrics 1.0.0.
    OpenMetrics1,
    /// OpenMetrics 0.0.1. OpenMetrics 1.0 texts are valid in it too.
    OpenMetrics0,
    /// The classic text format.
    Classic,
    /// Messages of the type `MetricFamily`, each with its length in front.
    Protobuf,
}

impl MediaType {
    /// Returns the exposition format.
    pub const fn format(self) -> Format {
        match self {
            Self::OpenMetrics1 | Self::OpenMetrics0 => Format::OpenMetrics,
            Self::Classic => Format::Classic,
            Self::Protobuf => Format::Protobuf,
        }
    }

    /// Returns the value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics1 => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::OpenMetrics0 => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }
}

/// Chooses the media type of a response. OpenMetrics and Protocol Buffers are used only if the client names them. A client that accepts no supported
/// type gets the classic format, as section 12.5.1 allows.
pub fn choose_media_type<'a>(accept: impl IntoIterator<Item = &'a str>) -> MediaType {
    let mut best = (MediaType::Classic, 0);
    let mut classic = None::<(u8, u16)>;
    for range in elements(accept) {
        let named = match (range.name, range.version) {
            (name, None | Some("1.0.0")) if name.eq_ignore_ascii_case(OPENMETRICS) => MediaType::OpenMetrics1,
            (name, Some("0.0.1")) if name.eq_ignore_ascii_case(OPENMETRICS) => MediaType::OpenMetrics0,
            (name, _) if name.eq_ignore_ascii_case(PROTOBUF) => {
                if !range.is_delimited_family() {
                    continue;
                }
                MediaType::Protobuf
            }
            (name, version) => {
                let specificity = match (name.to_ascii_lowercase().as_str(), version) {
                    ("text/plain", Some("0.0.4")) => 3,
                    ("text/plain", None) => 2,
                    ("text/*", _) => 1,
                    ("*/*", _) => 0,
                    _ => continue,
                };
                // The most specific range determines the weight.
                if classic.is_none_or(|(known, _)| specificity >= known) {
                    classic = Some((specificity, range.weight));
                }
                continue;
            }
        };
        if range.weight > best.1 {
            best = (named, range.weight);
        }
    }
    match classic {
        Some((_, weight)) if weight > best.1 => MediaType::Classic,
        _ => best.0,
    }
}

/// Whether the client prefers CSV to JSON. JSON is used if it accepts both alike, or names neither.
pub fn prefers_csv<'a>(accept: impl IntoIterator<Item = &'a str>) -> bool {
    let (mut csv, mut json) = (0, 0);
    for range in elements(accept) {
        match range.name.to_ascii_lowercase().as_str() {
            "text/csv" => csv = range.weight,
            "application/json" => json = range.weight,
            _ => {}
        }
    }
    csv > json
}

/// Chooses the encoding of a response: gzip if its weight is at least that of the identity encoding.
pub fn choose_encoding<'a>(accept_encoding: impl IntoIterator<Item = &'a str>) -> Encoding {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for coding in elements(accept_encoding) {
        let weight = match coding.name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => &mut gzip,
            "identity" => &mut identity,
            "*" => &mut any,
            _ => continue,
        };
        *weight = Some(coding.weight);
    }
    let gzip = gzip.or(any).unwrap_or(0);
    match gzip > 0 && gzip >= identity.unwrap_or(0) {
        true => Encoding::Gzip,
        false => Encoding::Identity,
    }
}

/// One element of a list: `name;version=...;q=...`.
struct Element<'a> {
    name: &'a str,
    version: Option<&'a str>,
    /// The parameter `proto`: the type of the messages.
    proto: Option<&'a str>,
    /// The parameter `encoding`: how messages are separated.
    encoding: Option<&'a str>,
    weight: u16,
}

impl Element<'_> {
    /// Whether the parameters are those of the only supported form of Protocol Buffers.
    fn is_delimited_family(&self) -> bool {
        self.proto == Some("io.prometheus.client.MetricFamily") && self.encoding == Some("delimited")
    }
}

fn elements<'a>(values: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = Element<'a>> {
    values
        .into_iter()
        .flat_map(|value| split(value, ','))
        .take(MAX_ELEMENTS)
        .filter_map(parse_element)
}

/// Parses an element. Returns `None` if its name is empty or its weight malformed.
fn parse_element(text: &str) -> Option<Element<'_>> {
    let mut parts = split(text, ';').map(str::trim);
    let mut element = Element {
        name: parts.next().filter(|name| !name.is_empty())?,
        version: None,
        proto: None,
        encoding: None,
        weight: FULL_WEIGHT,
    };
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "q" => element.weight = parse_weight(value)?,
            "version" => element.version = Some(value),
            "proto" => element.proto = Some(value),
            "encoding" => element.encoding = Some(value),
            _ => {}
        }
    }
    Some(element)
}

/// Splits at `separator`, except in quoted strings.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |character: char| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match character {
            '\\' => is_escaped = is_quoted && !was_escaped,
            '"' if !was_escaped => is_quoted = !is_quoted,
            other => return other == separator && !is_quoted,
        }
        false
    })
}

/// Parses a weight into thousandths: `0` or `1`, with at most three decimals.
fn parse_weight(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{decimals:0<3}").parse().ok()?;
    match (whole, fraction) {
        ("0", fraction) => Some(fraction),
        ("1", 0) => Some(FULL_WEIGHT),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_used_only_if_the_client_names_it() {
        use MediaType::{Classic, OpenMetrics0, OpenMetrics1, Protobuf};
        // With --enable-feature=native-histograms.
        let native_2_42 = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
            encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let delimited =
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        let prometheus_2_42 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
                               version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, expected) in [
            (prometheus_2_42, OpenMetrics1),
            (native_2_42, Protobuf),
            (delimited, Protobuf),
            ("application/vnd.google.protobuf", Classic),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
                Classic,
            ),
            ("", Classic),
            ("*/*", Classic),
            ("application/*", Classic),
            ("application/json", Classic),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Classic),
            ("application/openmetrics-text", OpenMetrics1),
            (
                "Application/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=1.0",
                OpenMetrics1,
            ),
            ("application/openmetrics-text; version=0.0.1", OpenMetrics0),
            ("application/openmetrics-text; version=2.0.0", Classic),
            (
                "application/openmetrics-text; version=2.0.0, application/openmetrics-text;q=0.1",
                OpenMetrics1,
            ),
            ("application/openmetrics-text;q=0", Classic),
            ("application/openmetrics-text;q=0.0, */*;q=0.001", Classic),
            ("application/openmetrics-text;q=0.5, text/plain;q=0.6", Classic),
            (
                "application/openmetrics-text;q=0.5, text/plain;q=0.5",
                OpenMetrics1,
            ),
            (
                "application/openmetrics-text;q=0.5, text/plain;q=0, */*",
                OpenMetrics1,
            ),
            ("application/openmetrics-text;q=7", Classic),
            ("application/openmetrics-text;q=0.1234", Classic),
            ("x/y;a=\",application/openmetrics-text,\", text/plain", Classic),
            ("x/y;a=\"\\\",\", application/openmetrics-text", OpenMetrics1),
            (",,;;=;q=,\"", Classic),
        ] {
            assert_eq!(choose_media_type([accept]), expected, "{accept}");
        }
    }

    #[test]
    fn several_header_lines_are_one_list() {
        assert_eq!(
            choose_media_type(["text/plain;q=0.5", "application/openmetrics-text"]),
            MediaType::OpenMetrics1
        );
    }

    #[test]
    fn csv_is_used_if_it_is_preferred() {
        for (accept, is_csv) in [
            ("text/csv", true),
            ("text/csv, application/json;q=0.9", true),
            ("application/json, text/csv", false),
            ("text/csv;q=0", false),
            ("text/html, */*", false),
        ] {
            assert_eq!(prefers_csv([accept]), is_csv, "{accept}");
        }
    }

    #[test]
    fn gzip_is_used_if_accepted() {
        for (accept, is_gzip) in [
            ("gzip", true),
            ("GZIP;q=0.1", true),
            ("x-gzip", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("*", true),
            ("gzip;q=0.5, identity;q=0.5", true),
            ("gzip;q=0.5, identity;q=0.6", false),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("*;q=0", false),
            ("br, deflate", false),
            ("", false),
        ] {
            assert_eq!(choose_encoding([accept]) == Encoding::Gzip, is_gzip, "{accept}");
        }
    }

    #[test]
    fn a_long_list_is_cut_off() {
        let many = "a/b;q=0.5,".repeat(100_000) + "application/openmetrics-text";
        assert_eq!(choose_media_type([many.as_str()]), MediaType::Classic);
    }
}
