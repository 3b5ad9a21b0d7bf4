//! The end of an output, in bounded memory.

use std::collections::VecDeque;

/// The last bytes of what was pushed.
#[derive(Debug)]
pub struct Tail {
    bytes: VecDeque<u8>,
    max_bytes: usize,
    is_cut: bool,
}

impl Tail {
    /// An empty tail that keeps this many bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            bytes: VecDeque::with_capacity(max_bytes),
            max_bytes,
            is_cut: false,
        }
    }

    /// Appends bytes and forgets the oldest ones.
    pub fn push(&mut self, new: &[u8]) {
        let kept = &new[new.len().saturating_sub(self.max_bytes)..];
        let excess = (self.bytes.len() + kept.len()).saturating_sub(self.max_bytes);
        self.is_cut |= excess > 0 || kept.len() < new.len();
        self.bytes.drain(..excess);
        self.bytes.extend(kept);
    }

    /// The last bytes, from the start of a character on.
    pub fn to_vec(&self) -> Vec<u8> {
        // In UTF-8, a character has at most three bytes after its first one (RFC 3629).
        let is_rest = |byte: &u8| self.is_cut && byte & 0b1100_0000 == 0b1000_0000;
        let rest = self.bytes.iter().take(3).take_while(|byte| is_rest(byte)).count();
        self.bytes.iter().skip(rest).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_end_of_everything(chunks in proptest::collection::vec(proptest::collection::vec(0..0x80_u8, 0..20), 0..10)) {
            let mut tail = Tail::new(16);
            let mut all: Vec<u8> = Vec::new();
            for chunk in &chunks {
                tail.push(chunk);
                all.extend(chunk);
                prop_assert_eq!(&tail.to_vec(), &all[all.len().saturating_sub(16)..]);
            }
        }
    }

    #[test]
    fn it_begins_with_a_whole_character() {
        let mut tail = Tail::new(7);
        tail.push("aä€😀".as_bytes());
        assert_eq!(String::from_utf8(tail.to_vec()).unwrap(), "€😀");
        let mut short = Tail::new(7);
        short.push(b"\x80\x80");
        assert_eq!(short.to_vec(), b"\x80\x80", "not cut");
    }
}
