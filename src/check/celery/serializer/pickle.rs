//! Python's pickle format (CPython's module `pickletools` documents its opcodes), reduced to plain data: dictionaries with
//! text keys, lists, texts, numbers, booleans and None.
//!
//! A pickle can refer to an earlier value of itself. Libraries copy that value, so a reply of 4 kB could grow without bound.
//! Here only texts can be referred to; reading other references fails. Nothing is called or imported.

use serde_json::{Map, Number, Value};

/// The maximum nesting when reading.
const MAX_DEPTH: usize = 16;

/// Serializes a value with protocol 2, which every Python 3 reads.
pub fn write(value: &Value) -> Vec<u8> {
    let mut bytes = vec![0x80, 2];
    write_value(value, &mut bytes);
    bytes.push(b'.');
    bytes
}

fn write_value(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Null => bytes.push(b'N'),
        Value::Bool(true) => bytes.push(0x88),
        Value::Bool(false) => bytes.push(0x89),
        Value::Number(number) => match number.as_i64().and_then(|number| i32::try_from(number).ok()) {
            Some(number) => {
                bytes.push(b'J');
                bytes.extend(number.to_le_bytes());
            }
            None => {
                bytes.push(b'G');
                bytes.extend(number.as_f64().unwrap_or_default().to_be_bytes());
            }
        },
        Value::String(text) => write_text(text, bytes),
        Value::Array(items) => {
            bytes.extend(b"](");
            items.iter().for_each(|item| write_value(item, bytes));
            bytes.push(b'e');
        }
        Value::Object(entries) => {
            bytes.extend(b"}(");
            for (key, value) in entries {
                write_text(key, bytes);
                write_value(value, bytes);
            }
            bytes.push(b'u');
        }
    }
}

fn write_text(text: &str, bytes: &mut Vec<u8>) {
    // Pings are far shorter than 4 GB.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    bytes.push(b'X');
    bytes.extend(length.to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// Reads plain data of protocols 2 to 5; `None` for anything else.
pub fn read(bytes: &[u8]) -> Option<Value> {
    let mut machine = Machine {
        rest: bytes,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: Vec::new(),
    };
    loop {
        if let Some(value) = machine.step()? {
            return Some(value);
        }
    }
}

/// The pickle machine, as far as plain data needs it.
struct Machine<'b> {
    rest: &'b [u8],
    stack: Vec<Value>,
    marks: Vec<usize>,
    /// The texts that references can refer to, by number.
    memo: Vec<Option<String>>,
}

impl Machine<'_> {
    /// Executes one opcode. Returns the result after the last one.
    fn step(&mut self) -> Option<Option<Value>> {
        match self.take(1)?[0] {
            // PROTO and FRAME contain no data.
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'N' => self.push(Value::Null)?,
            0x88 => self.push(Value::Bool(true))?,
            0x89 => self.push(Value::Bool(false))?,
            b'K' => {
                let number = self.take(1)?[0];
                self.push(number.into())?;
            }
            b'M' => {
                let number = u16::from_le_bytes(self.array()?);
                self.push(number.into())?;
            }
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.push(number.into())?;
            }
            b'G' => {
                let number = Number::from_f64(f64::from_be_bytes(self.array()?))?;
                self.push(number.into())?;
            }
            0x8c => {
                let length = usize::from(self.take(1)?[0]);
                self.text(length)?;
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                self.text(usize::try_from(length).ok()?)?;
            }
            b'}' => self.push(Value::Object(Map::new()))?,
            b']' => self.push(Value::Array(Vec::new()))?,
            b'(' => self.marks.push(self.stack.len()),
            b's' => self.set_items(self.stack.len().checked_sub(2)?)?,
            b'u' => {
                let mark = self.marks.pop()?;
                self.set_items(mark)?;
            }
            b'a' => self.append(self.stack.len().checked_sub(1)?)?,
            b'e' => {
                let mark = self.marks.pop()?;
                self.append(mark)?;
            }
            0x94 => self.memoize(self.memo.len())?,
            b'q' => {
                let number = self.take(1)?[0];
                self.memoize(number.into())?;
            }
            b'h' => {
                let number = usize::from(self.take(1)?[0]);
                let text = self.memo.get(number)?.clone()?;
                self.push(Value::String(text))?;
            }
            b'.' => return self.stack.pop().map(Some),
            _ => return None,
        }
        Some(None)
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn text(&mut self, length: usize) -> Option<()> {
        let text = std::str::from_utf8(self.take(length)?).ok()?.to_owned();
        self.push(Value::String(text))
    }

    /// Pushes a value. Fails for a container if the stack already has [`MAX_DEPTH`] of them. Items are on the stack before their
    /// container takes them, so this limits the nesting.
    fn push(&mut self, value: Value) -> Option<()> {
        let is_container = value.is_object() || value.is_array();
        let containers = self
            .stack
            .iter()
            .filter(|value| value.is_object() || value.is_array());
        if is_container && containers.count() >= MAX_DEPTH {
            return None;
        }
        self.stack.push(value);
        Some(())
    }

    fn set_items(&mut self, from: usize) -> Option<()> {
        let items = self.pop_from(from)?;
        let entries = self.stack.last_mut()?.as_object_mut()?;
        let mut items = items.into_iter();
        while let Some(key) = items.next() {
            let Value::String(key) = key else { return None };
            entries.insert(key, items.next()?);
        }
        Some(())
    }

    fn append(&mut self, from: usize) -> Option<()> {
        let items = self.pop_from(from)?;
        self.stack.last_mut()?.as_array_mut()?.extend(items);
        Some(())
    }

    /// Removes and returns the stack from `from` on.
    fn pop_from(&mut self, from: usize) -> Option<Vec<Value>> {
        (from <= self.stack.len()).then(|| self.stack.split_off(from))
    }

    /// Stores the top of the stack under a number, or `None` if it is not a text. The number of entries is bounded: numbers in
    /// the input end at 255, and every other entry takes a byte of input.
    fn memoize(&mut self, number: usize) -> Option<()> {
        let text = self.stack.last()?.as_str().map(str::to_owned);
        if number >= self.memo.len() {
            self.memo.resize(number + 1, None);
        }
        *self.memo.get_mut(number)? = text;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The result of `pickle.dumps({"one@host": {"ok": "pong"}}, protocol=N)` in CPython 3.11.
    #[test]
    fn a_pong_is_read() {
        let protocol_2 = b"\x80\x02}q\x00X\x08\x00\x00\x00one@hostq\x01}q\x02X\x02\x00\x00\x00okq\x03X\x04\x00\x00\x00pongq\x04ss.";
        let protocol_4 = b"\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x08one@host\x94}\x94\x8c\x02ok\x94\x8c\x04pong\x94ss.";
        for bytes in [protocol_2.as_slice(), protocol_4] {
            assert_eq!(read(bytes), Some(json!({ "one@host": { "ok": "pong" } })));
        }
    }

    #[test]
    fn nothing_is_imported_or_called() {
        // cos\nsystem\n(S'true'\ntR.
        assert_eq!(read(b"cos\nsystem\n(S'true'\ntR."), None);
        assert_eq!(read(b"\x80\x04\x8c\x02os\x8c\x06system\x93."), None);
    }

    #[test]
    fn references_and_nesting_are_bounded() {
        // A reference to a list is rejected, a reference to a text is not.
        assert_eq!(read(b"\x80\x04]\x94(h\x00h\x00e."), None);
        assert_eq!(
            read(b"\x80\x04]\x94(\x8c\x01x\x94h\x01e."),
            Some(json!(["x", "x"]))
        );
        assert_eq!(
            read(&[b"]".repeat(2000), b"a".repeat(1999), b".".to_vec()].concat()),
            None
        );
        for truncated in [b"".as_slice(), b"\x80", b"}", b"s.", b"u.", b"X\xff\xff\xff\xff."] {
            assert_eq!(read(truncated), None);
        }
    }
}
