//! Looks at a frame's payload before the codec does: the codec parses tables within tables by recursion without a limit,
//! so that a hostile peer could exhaust the stack with a single frame.

/// How deep tables and lists may lie within each other. Brokers use three levels.
const MAX_DEPTH: usize = 16;

/// Whether the payload of a method frame may be parsed. Of the methods that a server sends, only the first one bears a
/// table; those that only clients send are none to expect.
pub fn is_method_safe(payload: &[u8]) -> bool {
    let Some((&[class_high, class_low, method_high, method_low], rest)) = payload.split_first_chunk() else {
        return false;
    };
    let class = u16::from_be_bytes([class_high, class_low]);
    let method = u16::from_be_bytes([method_high, method_low]);
    match (class, method) {
        // Start: two bytes of version, then the server's properties.
        (10, 10) => rest.get(2..).is_some_and(|rest| table(&mut &*rest, 0).is_some()),
        (10, 30 | 41 | 50 | 51 | 60 | 61) => true,
        (20, 11 | 20 | 40 | 41) => true,
        (40, 11 | 21) => true,
        (50, 11 | 21 | 31 | 41 | 51) => true,
        (60, 11 | 21 | 30 | 31 | 50 | 60 | 71 | 72) => true,
        _ => false,
    }
}

/// Whether the payload of a content header may be parsed: its third property is a table.
pub fn is_header_safe(payload: &[u8]) -> bool {
    headers(payload).is_some()
}

fn headers(mut payload: &[u8]) -> Option<()> {
    // Class, weight and size of the body.
    take(&mut payload, 12)?;
    let flags = number(&mut payload, 2)?;
    for flag in [15, 14] {
        if flags & (1 << flag) != 0 {
            let length = number(&mut payload, 1)?;
            take(&mut payload, length)?;
        }
    }
    match flags & (1 << 13) {
        0 => Some(()),
        _ => table(&mut payload, 0),
    }
}

fn table(input: &mut &[u8], depth: usize) -> Option<()> {
    let mut fields = long(input)?;
    while !fields.is_empty() {
        let length = number(&mut fields, 1)?;
        take(&mut fields, length)?;
        value(&mut fields, depth)?;
    }
    Some(())
}

fn value(input: &mut &[u8], depth: usize) -> Option<()> {
    if depth == MAX_DEPTH {
        return None;
    }
    match number(input, 1)? as u8 {
        b'F' => table(input, depth + 1),
        b'A' => {
            let mut items = long(input)?;
            while !items.is_empty() {
                value(&mut items, depth + 1)?;
            }
            Some(())
        }
        b'S' | b'x' => long(input).map(drop),
        b'V' => Some(()),
        b't' | b'b' | b'B' => take(input, 1).map(drop),
        b's' | b'U' | b'u' => take(input, 2).map(drop),
        b'I' | b'i' | b'f' => take(input, 4).map(drop),
        b'D' => take(input, 5).map(drop),
        b'l' | b'L' | b'd' | b'T' => take(input, 8).map(drop),
        _ => None,
    }
}

fn long<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(input, 4)?;
    take(input, length)
}

fn number(input: &mut &[u8], bytes: usize) -> Option<usize> {
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

    /// Lists within each other.
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
    fn tables_lie_in_each_other_a_few_times_only() {
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
    fn what_is_cut_short_or_not_a_servers_is_refused() {
        assert!(!is_method_safe(&[0, 10, 0]));
        assert!(!is_method_safe(&start(&[0, 0, 0, 9, 1, b'k'])));
        // Queue.Declare is a client's.
        assert!(!is_method_safe(&[0, 50, 0, 10]));
        assert!(is_method_safe(&[0, 50, 0, 11]));
        assert!(!is_header_safe(&[0; 13]));
    }
}
