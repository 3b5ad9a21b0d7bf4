//! Appends values to the text of a record, in the notation of zone files (RFC 1035, section 5.1).

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The longest text of all records of a response. A response has at most 64 KiB, of which each byte becomes at most four
/// characters (`\255`). Only many pointers to long names need more.
pub const MAX_TEXT_BYTES: usize = 4 << 20;

/// Appends formatted text.
pub fn push(text: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    // Writing to a vector can't fail.
    let _ = text.write_fmt(what);
}

/// Appends a byte, escaped if it is special or not printable.
fn push_escaped(text: &mut Vec<u8>, byte: u8, special: &[u8]) {
    match byte {
        b' '..=b'~' => {
            if special.contains(&byte) {
                text.push(b'\\');
            }
            text.push(byte);
        }
        // A response can have a million of these, and formatting each takes longer.
        _ => text.extend([b'\\', b'0' + byte / 100, b'0' + byte / 10 % 10, b'0' + byte % 10]),
    }
}

/// Appends a byte of a label.
pub fn push_name_byte(text: &mut Vec<u8>, byte: u8) {
    push_escaped(text, byte, b". '@;()\"\\");
}

/// Appends a byte of a value of an SVCB parameter.
pub fn push_parameter_byte(text: &mut Vec<u8>, byte: u8) {
    push_escaped(text, byte, b"\"; \\");
}

/// Appends a string without quotes.
pub fn push_plain(text: &mut Vec<u8>, string: &[u8]) {
    for byte in string {
        push_escaped(text, *byte, b"\"\\");
    }
}

/// Appends a string in quotes.
pub fn push_quoted(text: &mut Vec<u8>, string: &[u8]) {
    text.push(b'"');
    push_plain(text, string);
    text.push(b'"');
}

/// Appends a string in quotes in which escapes are already resolved by the server, such as the target of a URI record. As in
/// blackbox_exporter, a backslash in it starts an escape.
pub fn push_octets(text: &mut Vec<u8>, string: &[u8]) {
    text.push(b'"');
    let mut rest = string;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            push_plain(text, &[*byte]);
            continue;
        }
        match *rest {
            [] => {}
            [b'.', ref after @ ..] => {
                text.extend(b"\\.");
                rest = after;
            }
            [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ref after @ ..] => {
                let [a, b, c] = [a, b, c].map(|digit| u32::from(digit - b'0'));
                // Numbers above 255 wrap, as there.
                push_plain(text, &[(a * 100 + b * 10 + c) as u8]);
                rest = after;
            }
            [byte, ref after @ ..] => {
                push_plain(text, &[byte]);
                rest = after;
            }
        }
    }
    text.push(b'"');
}

/// Appends hexadecimal digits in lower case.
pub fn push_hex(text: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        push(text, format_args!("{byte:02x}"));
    }
}

/// Appends hexadecimal digits in upper case.
pub fn push_upper_hex(text: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        push(text, format_args!("{byte:02X}"));
    }
}

/// Appends base64 with padding.
pub fn push_base64(text: &mut Vec<u8>, bytes: &[u8]) {
    text.extend(STANDARD.encode(bytes).into_bytes());
}

/// Appends base32 with the extended alphabet, without padding (RFC 4648, section 7).
pub fn push_base32(text: &mut Vec<u8>, bytes: &[u8]) {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";
    for chunk in bytes.chunks(5) {
        let mut padded = [0; 8];
        padded[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(padded);
        for index in 0..(chunk.len() * 8).div_ceil(5) {
            text.push(ALPHABET[(bits >> (35 - 5 * index) & 31) as usize]);
        }
    }
}

/// Appends a time in seconds since 1970 as `20260102030405`.
pub fn push_time(text: &mut Vec<u8>, seconds: u64) {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years of 400 years' cycles that start on 1 March: https://howardhinnant.github.io/date_algorithms.html#civil_from_days
    let days = days + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = cycle * 400 + year + next;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    push(
        text,
        format_args!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}"),
    );
}

/// Appends the name of an algorithm of DNSSEC (RFC 8624, section 3.1), or its number.
pub fn push_algorithm(text: &mut Vec<u8>, code: u8) {
    let name = match code {
        1 => "RSAMD5",
        2 => "DH",
        3 => "DSA",
        5 => "RSASHA1",
        6 => "DSA-NSEC3-SHA1",
        7 => "RSASHA1-NSEC3-SHA1",
        8 => "RSASHA256",
        10 => "RSASHA512",
        12 => "ECC-GOST",
        13 => "ECDSAP256SHA256",
        14 => "ECDSAP384SHA384",
        15 => "ED25519",
        16 => "ED448",
        252 => "INDIRECT",
        253 => "PRIVATEDNS",
        254 => "PRIVATEOID",
        code => return push(text, format_args!("{code}")),
    };
    text.extend(name.bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(append: impl Fn(&mut Vec<u8>)) -> String {
        let mut text = Vec::new();
        append(&mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn times_have_the_calendar_of_utc() {
        for (seconds, expected) in [
            (0, "19700101000000"),
            (951_782_400, "20000229000000"),
            (1_767_322_984, "20260102030304"),
            (4_294_967_295, "21060207062815"),
            (253_402_300_800, "100000101000000"),
        ] {
            assert_eq!(text(|text| push_time(text, seconds)), expected);
        }
    }

    #[test]
    fn base32_has_no_padding() {
        // RFC 4648, section 10.
        for (bytes, expected) in [
            (&b""[..], ""),
            (b"f", "CO"),
            (b"fo", "CPNG"),
            (b"foo", "CPNMU"),
            (b"foob", "CPNMUOG"),
            (b"fooba", "CPNMUOJ1"),
            (b"foobar", "CPNMUOJ1E8"),
        ] {
            assert_eq!(text(|text| push_base32(text, bytes)), expected);
        }
    }

    #[test]
    fn escapes_in_octets_are_resolved_once() {
        for (octets, expected) in [
            (&br"a\.b"[..], r#""a\.b""#),
            (br"\065\999", "\"A\\231\""),
            (br"\x\\", r#""x\\""#),
            (b"end\\", r#""end""#),
            (b"\"\xff", r#""\"\255""#),
            (br"\12", r#""12""#),
        ] {
            assert_eq!(text(|text| push_octets(text, octets)), expected);
        }
    }
}
