//! Tests of the texts of records.

use super::*;
use crate::check::dns::response::Response;
use crate::check::dns::section::Section;

/// The texts of blackbox_exporter. `tests/probe/beside_blackbox/dns_records.rs` compares them with the real program.
const TEXTS: &str = include_str!("../../../../tests/probe/beside_blackbox/records.txt");

fn from_hex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.map(byte).collect()
}

/// A response with one record, whose owner is a pointer to the question.
fn message(kind: u16, class: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut message = b"\0\x01\x81\x80\0\x01\0\x01\0\0\0\0\x07example\x03org\0\0\x01\0\x01\xc0\x0c".to_vec();
    message.extend(kind.to_be_bytes());
    message.extend(class.to_be_bytes());
    message.extend(ttl.to_be_bytes());
    message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    message.extend(data);
    message
}

fn text(message: &[u8]) -> Result<Vec<u8>, String> {
    let response = Response::parse(message).map_err(|error| error.to_string())?;
    Ok(response.texts(Section::Answer).next().unwrap().to_vec())
}

fn text_of(kind: &str, data: &[u8]) -> Result<String, String> {
    let kind = RecordType::parse(kind).unwrap();
    let text = text(&message(kind.0, 1, 300, data))?;
    let start = format!("example.org.\t300\tIN\t{kind}\t");
    Ok(String::from_utf8(text).unwrap().replace(&start, ""))
}

#[test]
fn texts_equal_those_of_blackbox_exporter() {
    let mut kinds = std::collections::BTreeSet::new();
    for line in TEXTS.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [kind, class, ttl, data, expected, ..] = columns[..] else {
            panic!("{line}");
        };
        let expected: String = serde_json::from_str(expected).unwrap();
        let kind: u16 = kind.parse().unwrap();
        let message = message(
            kind,
            class.parse().unwrap(),
            ttl.parse().unwrap(),
            &from_hex(data),
        );
        let text = text(&message).map(|text| String::from_utf8(text).unwrap());
        assert_eq!(text, Ok(expected), "{line}");
        kinds.insert(kind);
    }
    for code in 0..=u16::MAX {
        let kind = RecordType(code);
        if fields_of(kind).is_some() {
            assert!(kinds.contains(&code), "records.txt has no record of type {kind}");
        }
    }
}

#[test]
fn data_that_does_not_have_its_format_is_malformed() {
    for (kind, data, fault) in [
        ("A", &b"\xc0\0\x02"[..], "it ends within a field"),
        ("A", b"\xc0\0\x02\x01\0", "its data is longer than its fields"),
        ("ANY", b"\0", "its data is longer than its fields"),
        ("NS", b"\x03ns", "it ends within a field"),
        ("NS", b"\xc0\xff", "it ends within a field"),
        ("NS", b"\xc0\x29", "a name has too many compression pointers"),
        ("NS", b"\x80", "a name has a label of an unknown type"),
        ("TXT", b"\x02a", "it ends within a field"),
        ("NSEC3", b"\x01\0\0\0\x01\xaa", "it ends within a field"),
        ("NSEC", b"\0\0\0", "its bitmap of types is not valid"),
        (
            "NSEC",
            b"\0\x01\x01\x40\0\x01\x40",
            "its bitmap of types is not valid",
        ),
        ("NSEC", b"\0\0\x21", "its bitmap of types is not valid"),
        ("HIP", b"\x01\x02\0\x01\xaa", "it ends within a field"),
        ("APL", b"\0\x01\x21\x01\xc0", "its list of networks is not valid"),
        (
            "APL",
            b"\0\x01\x08\x02\xc0\0",
            "its list of networks is not valid",
        ),
        ("APL", b"\0\x03\x08\x01\xc0", "its list of networks is not valid"),
        (
            "SVCB",
            b"\0\x01\0\0\x03\0\x02\x01\xbb\0\x01\0\0",
            "its parameters are not valid",
        ),
        ("SVCB", b"\0\x01\0\xff\xff\0\0", "its parameters are not valid"),
        (
            "SVCB",
            b"\0\x01\0\0\x03\0\x03\x01\xbb\0",
            "its parameters are not valid",
        ),
        ("SVCB", b"\0\x01\0\0\x04\0\0", "its parameters are not valid"),
        ("SVCB", b"\0\x01\0\0\x08\0\x01\0", "its parameters are not valid"),
        ("SVCB", b"\0\x01\0\0\x03\0\x02\x01", "it ends within a field"),
        ("OPT", b"\0\x0b\0\x01\0", "an option of EDNS is not valid"),
        ("OPT", b"\0\x03\0\x01", "it ends within a field"),
    ] {
        let error = text_of(kind, data).unwrap_err();
        assert_eq!(
            error,
            format!("record 1 of the answer section ({kind}): {fault}"),
            "{data:?}"
        );
    }
}

#[test]
fn long_values_are_complete() {
    let digits = "00".repeat(512);
    let text = text_of("SMIMEA", &[0; 3 + 512]).unwrap();
    assert_eq!(text, format!("0 0 0 {digits} "));
    let text = text_of("SMIMEA", &[0; 3 + 513]).unwrap();
    assert_eq!(text, format!("0 0 0 {digits} 00"));
    let label = [&[63][..], &[b'a'; 63]].concat();
    let name = [label.repeat(3), vec![61], vec![0xff; 61], vec![0]].concat();
    assert_eq!(name.len(), 255);
    let text = text_of("NS", &name).unwrap();
    assert_eq!(text.len(), 3 * 64 + 61 * 4 + 1);
    let longer = [label.repeat(3), vec![62], vec![0xff; 62], vec![0]].concat();
    let error = text_of("NS", &longer).unwrap_err();
    assert!(error.ends_with("a name is longer than 255 bytes"), "{error}");
}

#[test]
fn many_pointers_to_long_names_do_not_take_much_memory() {
    let name = [[63; 64].repeat(3), vec![61], vec![0xff; 61], vec![0]].concat();
    let pointers = b"\xc0\x2d".repeat(30_000);
    // The name is where the first pointer points to: after the header, the question and the head of the record.
    let data = [&[0, 0, 0, 0][..], &name, &pointers].concat();
    let error = text_of("HIP", &data).unwrap_err();
    assert!(
        error.ends_with("the texts of the records are longer than 4 MiB"),
        "{error}"
    );
}
