//! The data of records that are more than a list of fields.

use super::reader::{Malformed, Reader};
use super::text::{push, push_base64, push_hex, push_time, push_upper_hex};

/// LOC: a place on earth (RFC 1876).
pub fn location(data: &mut Reader<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let _version = data.u8()?;
    let precisions = [data.u8()?, data.u8()?, data.u8()?];
    angle(text, data.u32()?, ['N', 'S']);
    angle(text, data.u32()?, ['E', 'W']);
    // Centimetres above 100 km below the surface.
    let height = i64::from(data.u32()?) - 10_000_000;
    let sign = if height < 0 { "-" } else { "" };
    let (metres, rest) = (height.unsigned_abs() / 100, height.unsigned_abs() % 100);
    match rest {
        0 => push(text, format_args!("{sign}{metres}m")),
        rest => push(text, format_args!("{sign}{metres}.{rest:02}m")),
    }
    for precision in precisions {
        // Centimetres: the first digit, and how many zeros follow.
        let (digit, zeros) = (precision >> 4, usize::from(precision & 15));
        match zeros {
            0 => push(text, format_args!(" 0.{digit:02}m")),
            1 => push(text, format_args!(" 0.{:02}m", u16::from(digit) * 10)),
            zeros => push(text, format_args!(" {digit}{}m", "0".repeat(zeros - 2))),
        }
    }
    Ok(())
}

/// Appends degrees, minutes and seconds. The angle is in thousandths of a second from 2^31.
fn angle(text: &mut Vec<u8>, angle: u32, [above, below]: [char; 2]) {
    const ZERO: u32 = 1 << 31;
    let direction = if angle > ZERO { above } else { below };
    let angle = angle.abs_diff(ZERO);
    let (degrees, minutes, thousandths) = (angle / 3_600_000, angle / 60_000 % 60, angle % 60_000);
    let (seconds, thousandths) = (thousandths / 1000, thousandths % 1000);
    push(
        text,
        format_args!("{degrees:02} {minutes:02} {seconds}.{thousandths:03} {direction} "),
    );
}

/// HIP: the identity of a host (RFC 8005).
pub fn host_identity(data: &mut Reader<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let tag_length = data.u8()?;
    let algorithm = data.u8()?;
    let key_length = data.u16()?;
    push(text, format_args!("{algorithm} "));
    push_hex(text, data.sized(usize::from(tag_length))?);
    text.push(b' ');
    push_base64(text, data.sized(usize::from(key_length))?);
    while !data.is_at_end() {
        text.push(b' ');
        data.name(text)?;
    }
    Ok(())
}

/// IPSECKEY (RFC 4025).
pub fn ipsec_key(data: &mut Reader<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let (precedence, kind, algorithm) = (data.u8()?, data.u8()?, data.u8()?);
    push(text, format_args!("{precedence} {kind} {algorithm} "));
    gateway(kind, data, text)?;
    text.push(b' ');
    push_base64(text, data.rest());
    Ok(())
}

/// AMTRELAY (RFC 8777).
pub fn relay(data: &mut Reader<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let (precedence, kind) = (data.u8()?, data.u8()?);
    // The highest bit says that discovery is optional.
    let (is_optional, kind) = (kind >> 7, kind & 0x7f);
    push(text, format_args!("{precedence} {is_optional} {kind} "));
    gateway(kind, data, text)
}

fn gateway(kind: u8, data: &mut Reader<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    match kind {
        1 | 2 if data.is_missing() => text.extend(b"<nil>"),
        1 => push(text, format_args!("{}", data.ipv4()?)),
        2 => push(text, format_args!("{}", data.ipv6()?.to_canonical())),
        3 => data.name(text)?,
        _ => text.push(b'.'),
    }
    Ok(())
}

/// TKEY (RFC 2930).
pub fn key_exchange(data: &mut Reader<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    text.push(b' ');
    data.name(text)?;
    for _ in 0..2 {
        text.push(b' ');
        push_time(text, u64::from(data.u32()?));
    }
    push(text, format_args!(" {} {}", data.u16()?, data.u16()?));
    for _ in 0..2 {
        let length = data.u16()?;
        push(text, format_args!(" {length} "));
        push_hex(text, data.sized(usize::from(length))?);
    }
    Ok(())
}

/// TSIG (RFC 8945).
pub fn signature(data: &mut Reader<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    text.push(b' ');
    data.name(text)?;
    text.push(b' ');
    push_time(text, data.u48()?);
    let (fudge, length) = (data.u16()?, data.u16()?);
    push(text, format_args!(" {fudge} {length} "));
    push_upper_hex(text, data.sized(usize::from(length))?);
    push(text, format_args!(" {} {}", data.u16()?, data.u16()?));
    let length = data.u16()?;
    push(text, format_args!(" {length} "));
    push_hex(text, data.sized(usize::from(length))?);
    Ok(())
}
