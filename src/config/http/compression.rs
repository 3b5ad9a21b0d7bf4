//! The compression of the body, and whether the header `Accept-Encoding` of the request allows it.

use super::HttpOptions;
use crate::config::place::{Invalid, Place};

/// A compression of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
    /// The zlib format (RFC 9110, section 8.4.1.2), or raw deflate data, which many servers send.
    Deflate,
    /// No compression, which is requested from the server.
    Identity,
}

impl Compression {
    const ALL: [Self; 4] = [Self::Gzip, Self::Brotli, Self::Deflate, Self::Identity];

    /// The name of the content coding.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Deflate => "deflate",
            Self::Identity => "identity",
        }
    }
}

impl HttpOptions {
    pub(super) fn resolve_compression(&self, place: &Place<'_>) -> Result<Option<Compression>, Invalid> {
        let place = place.field("compression");
        let compression = match self.compression.as_deref() {
            None | Some("") => return Ok(None),
            Some(text) => Compression::ALL
                .into_iter()
                .find(|known| known.as_str().eq_ignore_ascii_case(text))
                .ok_or_else(|| {
                    place.error(format_args!(
                        "\"{text}\" is not supported: write gzip, br, deflate or identity"
                    ))
                })?,
        };
        let more = self.http_headers.iter();
        let more = more.flat_map(|(name, options)| options.values.iter().map(move |value| (name, value)));
        let accepted: Vec<&str> = (self.headers.iter().chain(more))
            .filter(|(name, _)| name.eq_ignore_ascii_case("accept-encoding"))
            .map(|(_, value)| value.as_str())
            .collect();
        let accepted = accepted.join(", ");
        match accepts(&accepted, compression.as_str()) {
            true => Ok(Some(compression)),
            false => Err(place.error(format_args!(
                "contradicts the header Accept-Encoding \"{accepted}\": add {} there, or remove the header",
                compression.as_str()
            ))),
        }
    }
}

/// Whether a list of codings (RFC 9110, section 12.5.3) accepts this one. An empty list does. Of the entries that match, the one with
/// the highest weight decides, as in blackbox_exporter.
fn accepts(list: &str, coding: &str) -> bool {
    let weights = list.split(',').filter_map(|entry| {
        let (name, weight) = match entry.rsplit_once(';') {
            None => (entry, 1.0),
            Some((name, weight)) => {
                let weight = weight.trim();
                let weight = weight.strip_prefix("q=").unwrap_or(weight);
                (name, weight.parse::<f32>().unwrap_or(0.0))
            }
        };
        let name = name.trim();
        (name == "*" || name.eq_ignore_ascii_case(coding)).then_some(weight)
    });
    // Weights have three digits, so that a smaller one is zero.
    list.is_empty() || weights.fold(0.0_f32, f32::max) >= 0.0005
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_decide_which_codings_are_accepted() {
        for (list, coding, accepted) in [
            ("", "gzip", true),
            ("gzip", "gzip", true),
            ("GZIP", "gzip", true),
            ("x-gzip", "gzip", false),
            ("compress, gzip", "gzip", true),
            ("gzip, compress", "br", false),
            ("gzip, compress, *", "br", true),
            ("gzip, *;q=0.1", "br", true),
            ("gzip, br;q=0.0", "br", false),
            ("gzip, br;q=0.0004", "br", false),
            ("gzip, br;q=0.001", "br", true),
            ("*;q=0.0", "gzip", false),
            ("gzip;q=x", "gzip", false),
            ("*;q=0.0, compress;q=0.5, br; q=0.1 ", "br", true),
            ("br;q=0, *;q=0.5", "br", true),
            ("br;q=-1", "br", false),
        ] {
            assert_eq!(accepts(list, coding), accepted, "{coding} in \"{list}\"");
        }
    }
}
