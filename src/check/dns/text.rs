//! Formats a record as a line of text, exactly like blackbox_exporter (with miekg/dns). Expressions match this text.

use std::fmt::Write;

use hickory_proto::op::Edns;
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// Formats a record: `example.org.<tab>300<tab>IN<tab>A<tab>192.0.2.1`.
pub fn record(record: &Record) -> String {
    let mut text = String::new();
    name(&mut text, &record.name);
    let kind = match record.record_type() {
        RecordType::Unknown(code) => format!("TYPE{code}"),
        known => known.to_string(),
    };
    push(
        &mut text,
        format_args!("\t{}\t{}\t{kind}\t", record.ttl, record.dns_class),
    );
    data(&mut text, &record.data);
    text
}

/// Formats the pseudo-record of EDNS (RFC 6891, section 6.1) in the additional section, without its options.
pub fn edns(edns: &Edns) -> String {
    let mut text = format!("\n;; OPT PSEUDOSECTION:\n; EDNS: version {}; ", edns.version());
    text.push_str(match edns.flags().dnssec_ok {
        true => "flags: do; ",
        false => "flags: ; ",
    });
    push(&mut text, format_args!("udp: {}", edns.max_payload()));
    text
}

fn data(text: &mut String, data: &RData) {
    match data {
        RData::CNAME(alias) => name(text, &alias.0),
        RData::NS(server) => name(text, &server.0),
        RData::PTR(pointer) => name(text, &pointer.0),
        RData::MX(exchange) => {
            push(text, format_args!("{} ", exchange.preference));
            name(text, &exchange.exchange);
        }
        RData::SOA(zone) => {
            name(text, &zone.mname);
            text.push(' ');
            name(text, &zone.rname);
            // These are unsigned (RFC 1035, section 3.3.13; RFC 2181, section 8).
            let [refresh, retry, expire] = [zone.refresh, zone.retry, zone.expire].map(i32::cast_unsigned);
            push(
                text,
                format_args!(" {} {refresh} {retry} {expire} {}", zone.serial, zone.minimum),
            );
        }
        RData::SRV(service) => {
            push(
                text,
                format_args!("{} {} {} ", service.priority, service.weight, service.port),
            );
            name(text, &service.target);
        }
        RData::TXT(strings) => {
            for (index, string) in strings.txt_data.iter().enumerate() {
                if index > 0 {
                    text.push(' ');
                }
                push_quoted(text, string);
            }
        }
        RData::HINFO(host) => {
            push_quoted(text, &host.cpu);
            text.push(' ');
            push_quoted(text, &host.os);
        }
        RData::CAA(rule) => {
            push(text, format_args!("{} {} ", rule.flags(), rule.tag));
            push_quoted(text, &rule.value);
        }
        RData::SSHFP(fingerprint) => text.push_str(&fingerprint.to_string().to_uppercase()),
        RData::Unknown {
            code: RecordType::DS,
            rdata,
        } if rdata.anything.len() >= 4 => {
            delegation_signer(text, &rdata.anything);
        }
        // RFC 3597, section 5.
        RData::Unknown { rdata, .. } | RData::NULL(rdata) => {
            push(text, format_args!("\\# {} ", rdata.anything.len()));
            for byte in &rdata.anything {
                push(text, format_args!("{byte:02x}"));
            }
        }
        // The records of a message do not contain the pseudo-record of EDNS; see `edns`.
        RData::OPT(_) => {}
        other => push(text, format_args!("{other}")),
    }
}

/// Key tag, algorithm, type of digest, digest (RFC 4034, section 5.1).
fn delegation_signer(text: &mut String, data: &[u8]) {
    let tag = u16::from_be_bytes([data[0], data[1]]);
    push(text, format_args!("{tag} {} {} ", data[2], data[3]));
    for byte in &data[4..] {
        push(text, format_args!("{byte:02X}"));
    }
}

/// Appends a name with the final dot of the root.
fn name(text: &mut String, name: &Name) {
    if name.is_root() {
        text.push('.');
    }
    for label in name.iter() {
        for byte in label {
            push_escaped(text, *byte, b". '@;()\"\\");
        }
        text.push('.');
    }
}

/// Appends a string in quotes.
fn push_quoted(text: &mut String, string: &[u8]) {
    text.push('"');
    for byte in string {
        push_escaped(text, *byte, b"\"\\");
    }
    text.push('"');
}

/// Appends a byte of a label or a string, escaped as in zone files (RFC 1035, section 5.1).
fn push_escaped(text: &mut String, byte: u8, special: &[u8]) {
    if special.contains(&byte) {
        text.push('\\');
    }
    match byte {
        b' '..=b'~' => text.push(char::from(byte)),
        _ => push(text, format_args!("\\{byte:03}")),
    }
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string can't fail.
    let _ = text.write_fmt(what);
}
