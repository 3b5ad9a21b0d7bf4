//! Checks how deep a frame's payload is nested before the codec parses it. The codec parses nested tables recursively
//! without a limit, so a hostile peer could exhaust the stack with a single frame.

/// The maximum nesting of tables and lists. Brokers use three levels.
const MAX_DEPTH: usize = 16;

/// Whether the codec may parse the payload of a method frame. Of the methods that a server sends, only Start contains a
/// table. Methods that only clients send are rejected.
pub fn is_method_safe(payload: &[u8]) -> bool {
    let Some((&[class_high, class_low, method_high, method_low], rest)) = payload.split_first_chunk() else {
        return false;
    };
    let class = u16::from_be_bytes([class_high, class_low]);
    let method = u16::from_be_bytes([method_high, method_low]);
    match (class, method) {
        // Start: two bytes of version, then the server's properties.
        (10, 10) => rest
            .get(2..)
            .is_some_and(|rest| skip_table(&mut &*rest, 0).is_some()),
        (10, 30 | 41 | 50 | 51 | 60 | 61) => true,
        (20, 11 | 20 | 40 | 41) => true,
        (40, 11 | 21) => true,
        (50, 11 | 21 | 31 | 41 | 51) => true,
        (60, 11 | 21 | 30 | 31 | 50 | 60 | 71 | 72) => true,
        _ => false,
    }
}

/// Whether the codec may parse the payload of a content header: its third property is a table.
pub fn is_header_safe(payload: &[u8]) -> bool {
    skip_properties(payload).is_some()
}

fn skip_properties(mut payload: &[u8]) -> Option<()> {
    // Class, weight and size of the body.
    take(&mut payload, 12)?;
    let flags = take_number(&mut payload, 2)?;
    for flag in [15, 14] {
        if flags & (1 << flag) != 0 {
            let length = take_number(&mut payload, 1)?;
            take(&mut payload, length)?;
        }
    }
    match flags & (1 << 13) {
        0 => Some(()),
        _ => skip_table(&mut payload, 0),
    }
}

fn skip_table(input: &mut &[u8], depth: usize) -> Option<()> {
    let mut fields = take_long(input)?;
    while !fields.is_empty() {
        let length = take_number(&mut fields, 1)?;
        take(&mut fields, length)?;
        skip_value(&mut fields, depth)?;
    }
    Some(())
}

fn skip_value(input: &mut &[u8], depth: usize) -> Option<()> {
    if depth == MAX_DEPTH {
        return None;
    }
    match take_number(input, 1)? as u8 {
        b'F' => skip_table(input, depth + 1),
        b'A' => {
            let mut items = take_long(input)?;
            while !items.is_empty() {
                skip_value(&mut items, depth + 1)?;
            }
            Some(())
        }
        b'S' | b'x' => take_long(input).map(drop),
        b'V' => Some(()),
        b't' | b'b' | b'B' => take(input, 1).map(drop),
        b's' | b'U' | b'u' => take(input, 2).map(drop),
        b'I' | b'i' | b'f' => take(input, 4).map(drop),
        b'D' => take(input, 5).map(drop),
        b'l' | b'L' | b'd' | b'T' => take(input, 8).map(drop),
        _ => None,
    }
}

fn take_long<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_number(input, 4)?;
    take(input, length)
}

fn take_number(input: &mut &[u8], bytes: usize) -> Option<usize> {
    let digits = take(input, bytes)?;
    Some(
        digits
            .iter()
            .fold(0, |number, digit| number << 8 | usize::from(*digit)),
    )
}

fn take<'a>(input: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = input.split_at_checked(count)?;
    *input = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists in lists.
    fn nested(levels: usize) -> Vec<u8> {
        let mut inner = vec![b'V'];
        for _ in 0..levels {
            let length = u32::try_from(inner.len()).unwrap().to_be_bytes();
            inner = [&[b'A'][..], &length, &inner].concat();
        }
        let field = [&[1, b'k'][..], &inner].concat();
        [&u32::try_from(field.len()).unwrap().to_be_bytes()[..], &field].concat()
    }

    fn start(table: &[u8]) -> Vec<u8> {
        [&[0, 10, 0, 10, 0, 9][..], table].concat()
    }

    #[test]
    fn nesting_of_tables_is_bounded() {
        assert!(is_method_safe(&start(&nested(MAX_DEPTH - 1))));
        assert!(!is_method_safe(&start(&nested(MAX_DEPTH))));
        assert!(!is_method_safe(&start(&nested(20_000))));
        let header = |table: &[u8]| {
            let fixed = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0xa0, 0, 1, b'c'];
            [&fixed[..], table].concat()
        };
        assert!(is_header_safe(&header(&nested(3))));
        assert!(!is_header_safe(&header(&nested(20_000))));
        assert!(is_header_safe(&[0; 14]));
    }

    #[test]
    fn truncated_and_client_methods_are_rejected() {
        assert!(!is_method_safe(&[0, 10, 0]));
        assert!(!is_method_safe(&start(&[0, 0, 0, 9, 1, b'k'])));
        // Only clients send Queue.Declare.
        assert!(!is_method_safe(&[0, 50, 0, 10]));
        assert!(is_method_safe(&[0, 50, 0, 11]));
        assert!(!is_header_safe(&[0; 13]));
    }
}
