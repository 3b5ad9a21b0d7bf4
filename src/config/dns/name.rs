//! Parses domain names in the notation of zone files (RFC 1035, section 5.1).

use hickory_proto::rr::Name;

/// Parses a fully qualified name, with or without a dot at its end. Letters other than ASCII are encoded (RFC 5890).
pub fn parse(text: &str) -> Option<Name> {
    let mut name = match text {
        "" => return None,
        "." => return Some(Name::root()),
        // hickory parses the numbers in escapes as octal.
        _ if text.contains('\\') => Name::from_labels(labels(text)?).ok()?,
        _ => Name::from_str_relaxed(text).ok()?,
    };
    name.set_fqdn(true);
    Some(name)
}

/// The labels of a name with escapes: `\.` is a dot in a label, `\032` the byte with this decimal number.
fn labels(text: &str) -> Option<Vec<Vec<u8>>> {
    let text = text
        .strip_suffix('.')
        .filter(|rest| !rest.ends_with('\\'))
        .unwrap_or(text);
    let mut labels = vec![Vec::new()];
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'.' => labels.push(Vec::new()),
            b'\\' => {
                let (escaped, after) = unescape(rest)?;
                labels.last_mut()?.push(escaped);
                rest = after;
            }
            byte => labels.last_mut()?.push(*byte),
        }
    }
    labels.iter().all(|label| !label.is_empty()).then_some(labels)
}

fn unescape(rest: &[u8]) -> Option<(u8, &[u8])> {
    if !rest.first()?.is_ascii_digit() {
        return rest.split_first().map(|(byte, after)| (*byte, after));
    }
    let (digits, after) = rest.split_at_checked(3)?;
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels_of(text: &str) -> Option<Vec<Vec<u8>>> {
        let name = parse(text)?;
        assert!(name.is_fqdn());
        Some(name.iter().map(<[u8]>::to_vec).collect())
    }

    #[test]
    fn a_name_is_split_into_labels() {
        let bytes = |labels: &[&[u8]]| Some(labels.iter().map(|label| label.to_vec()).collect::<Vec<_>>());
        for text in ["_a.example", "_a.example."] {
            assert_eq!(labels_of(text), bytes(&[b"_a", b"example"]));
        }
        assert_eq!(labels_of("."), bytes(&[]));
        assert_eq!(
            labels_of(r"we\.ird\032\\x.\255."),
            bytes(&[b"we.ird \\x", b"\xff"])
        );
        assert_eq!(labels_of("b\u{fc}cher"), bytes(&[b"xn--bcher-kva"]));
        let long = "a".repeat(64);
        for wrong in [
            "",
            "a..b",
            r"a\",
            r"a\25",
            r"a\256",
            r".\.",
            &long,
            &format!("{long}\\032"),
            "a b",
        ] {
            assert_eq!(labels_of(wrong), None, "{wrong}");
        }
        assert_eq!(labels_of(r"a\."), bytes(&[b"a."]), "the dot is part of the label");
    }
}
