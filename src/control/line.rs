//! Reads a line of bounded length.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Reads a line of at most `max_bytes`, and returns it without its end.
///
/// # Errors
/// If the line is longer, the connection ends before the line does, or reading fails.
pub async fn read_line(reader: &mut (impl AsyncBufRead + Unpin), max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    reader.take(max_bytes + 1).read_until(b'\n', &mut line).await?;
    match line.pop() {
        Some(b'\n') => Ok(line),
        Some(_) if line.len() as u64 >= max_bytes => Err(io::Error::other(format!(
            "the line is longer than {max_bytes} bytes"
        ))),
        _ => Err(io::Error::other(
            "the connection ended before the end of the line",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_bounded() {
        for (input, expected) in [
            (&b"abcd\nrest"[..], Ok("abcd")),
            (b"\n", Ok("")),
            (b"abcde\n", Ok("abcde")),
            (b"abcdef\n", Err("the line is longer than 5 bytes")),
            (b"abc", Err("the connection ended before the end of the line")),
            (b"", Err("the connection ended before the end of the line")),
        ] {
            let mut reader = input;
            let read = read_line(&mut reader, 5).await;
            let read = read.map(|line| String::from_utf8(line).unwrap());
            let read = read.map_err(|error| error.to_string());
            assert_eq!(read.as_deref().map_err(String::as_str), expected);
        }
    }
}
