//! The pseudo-record of EDNS (RFC 6891, section 6.1) and its options.

use super::header::Header;
use super::reader::{Malformed, Reader};
use super::text::{push, push_algorithm, push_hex, push_upper_hex};

const INVALID: Malformed = Malformed("an option of EDNS is not valid");

/// Appends the text. The class is the size of datagrams, and the time to live has the version and the flags.
pub fn format(header: &Header<'_>, data: &mut Reader<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let version = header.ttl >> 16 & 0xff;
    push(
        text,
        format_args!("\n;; OPT PSEUDOSECTION:\n; EDNS: version {version}; flags:"),
    );
    for (bit, name) in [(0x8000, " do"), (0x4000, " co")] {
        if header.ttl & bit != 0 {
            text.extend(name.bytes());
        }
    }
    text.extend(b"; ");
    let other_flags = header.ttl & 0x3fff;
    if other_flags != 0 {
        push(text, format_args!("MBZ: 0x{other_flags:04x}, "));
    }
    push(text, format_args!("udp: {}", header.class));
    while !data.is_at_end() {
        let head = data.bytes(4)?;
        let number = |at: usize| u16::from(head[at]) << 8 | u16::from(head[at + 1]);
        let option = data.bytes(usize::from(number(2)))?;
        append(number(0), option, text)?;
    }
    Ok(())
}

fn append(code: u16, option: &[u8], text: &mut Vec<u8>) -> Result<(), Malformed> {
    let data = &mut Reader::new(option, 0);
    match code {
        1 => long_lived_query(data, text)?,
        2 => {
            if !matches!(option.len(), 4 | 8) {
                return Err(INVALID);
            }
            push(
                text,
                format_args!("\n; UPDATE LEASE: {} {}", data.u32()?, data.u32()?),
            );
        }
        3 => {
            text.extend(b"\n; NSID: ");
            push_hex(text, option);
            text.extend(b"  ");
            for byte in option {
                push(text, format_args!("({})", char::from(*byte)));
            }
        }
        4 => {
            text.extend(b"\n; ESU: ");
            text.extend(option);
        }
        5 => {
            text.extend(b"\n; DNSSEC ALGORITHM UNDERSTOOD: ");
            for code in option {
                text.push(b' ');
                push_algorithm(text, *code);
            }
        }
        6 => hashes("DS", option, text),
        7 => hashes("NSEC3", option, text),
        8 => subnet(option, text)?,
        9 => {
            text.extend(b"\n; EXPIRE: ");
            if !option.is_empty() {
                push(text, format_args!("{}", data.u32()?));
            }
        }
        10 => {
            text.extend(b"\n; COOKIE: ");
            push_hex(text, option);
        }
        11 => keepalive(option, text)?,
        12 => {
            text.extend(b"\n; PADDING: ");
            push_upper_hex(text, option);
        }
        15 => extended_error(option, text)?,
        18 => {
            text.extend(b"\n; REPORT-CHANNEL: ");
            data.require_next();
            data.name(text)?;
        }
        19 => {
            text.extend(b"\n; ZONEVERSION: ");
            text.extend(option.get(2..).ok_or(INVALID)?);
        }
        code => {
            push(text, format_args!("\n; LOCAL OPT: {code}:0x"));
            push_hex(text, option);
        }
    }
    Ok(())
}

/// A draft by Sekar.
fn long_lived_query(data: &mut Reader<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut head = data.split(18)?;
    push(
        text,
        format_args!(
            "\n; LONG LIVED QUERIES: {} {} {} {} {}",
            head.u16()?,
            head.u16()?,
            head.u16()?,
            head.u64()?,
            head.u32()?
        ),
    );
    Ok(())
}

/// RFC 6975.
fn hashes(of: &str, option: &[u8], text: &mut Vec<u8>) {
    push(text, format_args!("\n; {of} HASH UNDERSTOOD: "));
    for code in option {
        match code {
            1 => text.extend(b" SHA1"),
            2 => text.extend(b" SHA256"),
            3 => text.extend(b" GOST94"),
            4 => text.extend(b" SHA384"),
            5 => text.extend(b" SHA512"),
            code => push(text, format_args!(" {code}")),
        }
    }
}

/// RFC 7871. Bytes of the address that are omitted are zero.
fn subnet(option: &[u8], text: &mut Vec<u8>) -> Result<(), Malformed> {
    let (head, given) = option.split_at_checked(4).ok_or(INVALID)?;
    let mut address = [0; 16];
    let copied = given.len().min(16);
    address[..copied].copy_from_slice(&given[..copied]);
    let (family, source, scope) = (&head[..2], head[2], head[3]);
    let most = |bits: u8| source <= bits && scope <= bits;
    text.extend(b"\n; SUBNET: ");
    let data = &mut Reader::new(&address, 0);
    match family {
        [0, 0] if source == 0 => text.extend(b"0.0.0.0"),
        [0, 1] if most(32) => push(text, format_args!("{}", data.ipv4()?)),
        [0, 2] if most(128) => match data.ipv6()?.to_canonical() {
            std::net::IpAddr::V4(address) => push(text, format_args!("{address}")),
            std::net::IpAddr::V6(address) => push(text, format_args!("[{address}]")),
        },
        _ => return Err(INVALID),
    }
    push(text, format_args!("/{source}/{scope}"));
    Ok(())
}

/// RFC 7828.
fn keepalive(option: &[u8], text: &mut Vec<u8>) -> Result<(), Malformed> {
    text.extend(b"\n; KEEPALIVE: use tcp keep-alive, timeout ");
    let timeout = match option {
        [] => 0,
        [high, low] => u16::from_be_bytes([*high, *low]),
        _ => return Err(INVALID),
    };
    match timeout {
        0 => text.extend(b"omitted"),
        // blackbox_exporter computes with 16 bits, too.
        timeout => push(text, format_args!("{}ms", timeout.wrapping_mul(100))),
    }
    Ok(())
}

/// RFC 8914.
fn extended_error(option: &[u8], text: &mut Vec<u8>) -> Result<(), Malformed> {
    const NAMES: [&str; 31] = [
        "Other",
        "Unsupported DNSKEY Algorithm",
        "Unsupported DS Digest Type",
        "Stale Answer",
        "Forged Answer",
        "DNSSEC Indeterminate",
        "DNSSEC Bogus",
        "Signature Expired",
        "Signature Not Yet Valid",
        "DNSKEY Missing",
        "RRSIGs Missing",
        "No Zone Key Bit Set",
        "NSEC Missing",
        "Cached Error",
        "Not Ready",
        "Blocked",
        "Censored",
        "Filtered",
        "Prohibited",
        "Stale NXDOMAIN Answer",
        "Not Authoritative",
        "Not Supported",
        "No Reachable Authority",
        "Network Error",
        "Invalid Data",
        "Signature Expired Before Valid",
        "Too Early",
        "Unsupported NSEC3 Iterations Value",
        "Unable To Conform To Policy",
        "Synthesized",
        "Invalid Query Type",
    ];
    let (code, extra) = option.split_at_checked(2).ok_or(INVALID)?;
    let code = u16::from_be_bytes([code[0], code[1]]);
    push(text, format_args!("\n; EDE: {code}"));
    if let Some(name) = NAMES.get(usize::from(code)) {
        push(text, format_args!(" ({name})"));
    }
    text.extend(b": (");
    text.extend(extra);
    text.push(b')');
    Ok(())
}
