//! Decompresses a body as it arrives, limits its length, and stores it only if it will be evaluated.

use std::io::{self, Write};
use std::sync::Arc;

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::check::body_budget::{BodyBudget, StoredBody};
use crate::config::http::Compression;
use crate::model::{Problem, Reason};

/// Decodes a body.
pub struct BodyDecoder {
    format: Format,
    is_empty: bool,
}

/// The decoder for the format of the body.
enum Format {
    Plain(Output),
    Gzip(Box<MultiGzDecoder<Output>>),
    /// Either of the two deflate formats, with the first byte if it has arrived.
    Unknown(Output, Option<u8>),
    /// RFC 9110, section 8.4.1.2: the zlib format (RFC 1950).
    Zlib(Box<ZlibDecoder<Output>>),
    /// Data without the zlib header (RFC 1951), which many servers send instead.
    Raw(Box<DeflateDecoder<Output>>),
}

/// Takes the decompressed bytes: counts them, and stores them if needed.
struct Output {
    body: StoredBody,
    is_stored: bool,
    total: u64,
    limit: Option<u64>,
    problem: Option<Problem>,
}

impl BodyDecoder {
    /// Creates a decoder for a body with this compression and at most `limit` decompressed bytes.
    pub fn new(
        compression: Option<Compression>,
        limit: Option<u64>,
        is_stored: bool,
        budget: &Arc<BodyBudget>,
    ) -> Self {
        let output = Output {
            body: StoredBody::new(budget),
            is_stored,
            total: 0,
            limit,
            problem: None,
        };
        let format = match compression {
            None | Some(Compression::Identity) => Format::Plain(output),
            Some(Compression::Gzip) => Format::Gzip(Box::new(MultiGzDecoder::new(output))),
            Some(Compression::Deflate) => Format::Unknown(output, None),
        };
        Self {
            format,
            is_empty: true,
        }
    }

    /// Decodes the next bytes.
    ///
    /// # Errors
    /// `limit` if the body is too long, `protocol` if it is not compressed as configured.
    pub fn write(&mut self, data: &[u8]) -> Result<(), Problem> {
        self.is_empty &= data.is_empty();
        let written = self.format.write_all(data);
        written.map_err(|error| self.problem(&error))
    }

    /// Ends the body. With `may_be_missing`, an empty body is valid even with compression, as in the response to a HEAD request.
    ///
    /// # Errors
    /// As [`BodyDecoder::write`].
    pub fn finish(mut self, may_be_missing: bool) -> Result<StoredBody, Problem> {
        let ended = match &mut self.format {
            _ if self.is_empty && may_be_missing => Ok(()),
            Format::Plain(_) => Ok(()),
            // The decoders accept empty input.
            _ if self.is_empty => Err(io::Error::other("it is empty")),
            Format::Unknown(..) => Err(io::ErrorKind::UnexpectedEof.into()),
            Format::Gzip(decoder) => decoder.try_finish(),
            Format::Zlib(decoder) => decoder.try_finish(),
            Format::Raw(decoder) => decoder.try_finish(),
        };
        ended.map_err(|error| self.problem(&error))?;
        let output = self.output();
        Ok(output.body.take(output.total))
    }

    /// How many bytes were decompressed so far.
    pub fn total(&mut self) -> u64 {
        self.output().total
    }

    fn output(&mut self) -> &mut Output {
        match &mut self.format {
            Format::Plain(output) | Format::Unknown(output, _) => output,
            Format::Gzip(decoder) => decoder.get_mut(),
            Format::Zlib(decoder) => decoder.get_mut(),
            Format::Raw(decoder) => decoder.get_mut(),
        }
    }

    fn problem(&mut self, error: &io::Error) -> Problem {
        let problem = self.output().problem.take();
        problem.unwrap_or_else(|| {
            Problem::new(
                Reason::Protocol,
                format_args!("the body is not compressed as configured: {error}"),
            )
        })
    }
}

impl Format {
    fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(output) => output.write_all(data),
            Self::Gzip(decoder) => decoder.write_all(data),
            Self::Zlib(decoder) => decoder.write_all(data),
            Self::Raw(decoder) => decoder.write_all(data),
            Self::Unknown(output, first) => {
                let (one, two, rest) = match (*first, data) {
                    (_, []) => return Ok(()),
                    (None, [byte]) => {
                        *first = Some(*byte);
                        return Ok(());
                    }
                    (None, [one, two, rest @ ..]) => (*one, *two, rest),
                    (Some(one), [two, rest @ ..]) => (one, *two, rest),
                };
                let output = Output {
                    body: output.body.take(0),
                    problem: None,
                    ..*output
                };
                *self = match is_zlib(one, two) {
                    true => Self::Zlib(Box::new(ZlibDecoder::new(output))),
                    false => Self::Raw(Box::new(DeflateDecoder::new(output))),
                };
                self.write_all(&[one, two])?;
                self.write_all(rest)
            }
        }
    }
}

/// Whether two bytes begin the zlib format (RFC 1950, section 2.2). Raw deflate data begins like that only with a stored block
/// whose padding is not zero, and no compressor writes such a block.
fn is_zlib(one: u8, two: u8) -> bool {
    one & 0x0f == 8 && u16::from_be_bytes([one, two]).is_multiple_of(31)
}

impl Write for Output {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.total += data.len() as u64;
        if let Some(limit) = self.limit
            && self.total > limit
        {
            let message = format!("the body is longer than {limit} bytes: raise body_size_limit to allow it");
            return Err(self.fail(Problem::new(Reason::Limit, message)));
        }
        if self.is_stored {
            self.body.push(data).map_err(|problem| self.fail(problem))?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output {
    /// Stores the problem, because the decoders only pass on an I/O error.
    fn fail(&mut self, problem: Problem) -> io::Error {
        self.problem = Some(problem);
        io::Error::other("the body exceeds a limit")
    }
}

#[cfg(test)]
mod tests {
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;
    use crate::check::body_budget::BodyBudgets;
    use crate::model::Shortage;

    fn decode(
        compression: Option<Compression>,
        limit: Option<u64>,
        data: &[u8],
    ) -> Result<(Vec<u8>, usize), (Reason, String)> {
        let budget = BodyBudgets::default().budget(false).clone();
        let mut decoder = BodyDecoder::new(compression, limit, true, &budget);
        let written = data.chunks(7).try_for_each(|chunk| decoder.write(chunk));
        let decoded = written.and_then(|()| decoder.finish(false));
        let decoded = decoded.map(|body| (body.bytes().to_vec(), budget.used()));
        assert_eq!(budget.used(), 0, "dropped bodies return their memory");
        decoded.map_err(|problem| (problem.reason, problem.message().to_owned()))
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn bodies_are_stored_and_counted() {
        assert_eq!(
            decode(None, None, b"hello, world"),
            Ok((b"hello, world".to_vec(), 12))
        );
        assert_eq!(
            decode(Some(Compression::Identity), Some(3), b"abc"),
            Ok((b"abc".to_vec(), 3))
        );
    }

    #[test]
    fn bodies_are_decompressed() {
        let text = b"hello, world ".repeat(100);
        assert_eq!(
            decode(Some(Compression::Gzip), None, &gzip(&text)).unwrap().0,
            text
        );
        for level in 0..=9 {
            let level = flate2::Compression::new(level);
            let mut zlib = ZlibEncoder::new(Vec::new(), level);
            zlib.write_all(&text).unwrap();
            let mut raw = DeflateEncoder::new(Vec::new(), level);
            raw.write_all(&text).unwrap();
            for body in [zlib.finish().unwrap(), raw.finish().unwrap()] {
                let mut body = body;
                assert_eq!(decode(Some(Compression::Deflate), None, &body).unwrap().0, text);
                // Byte by byte: the first byte alone does not determine the format.
                let mut decoder = BodyDecoder::new(
                    Some(Compression::Deflate),
                    None,
                    true,
                    BodyBudgets::default().budget(false),
                );
                body.iter().for_each(|byte| decoder.write(&[*byte]).unwrap());
                assert_eq!(decoder.finish(false).unwrap().bytes(), text);
                body.truncate(body.len() - 5);
                for cut in [&body[..], &body[..1]] {
                    let problem = decode(Some(Compression::Deflate), None, cut).unwrap_err();
                    assert_eq!(problem.0, Reason::Protocol, "{} bytes", cut.len());
                }
            }
        }
    }

    #[test]
    fn a_decompression_bomb_ends_at_the_limit() {
        let bomb = gzip(&vec![0; 20 << 20]);
        assert!(bomb.len() < 50_000);
        let (reason, message) = decode(Some(Compression::Gzip), Some(1 << 20), &bomb).unwrap_err();
        assert_eq!(
            (reason, message.as_str()),
            (
                Reason::Limit,
                "the body is longer than 1048576 bytes: raise body_size_limit to allow it"
            )
        );
    }

    #[test]
    fn a_missing_body_needs_no_compression() {
        let bodies = BodyBudgets::default();
        for compression in [Compression::Gzip, Compression::Deflate] {
            let decoder = || BodyDecoder::new(Some(compression), None, true, bodies.budget(false));
            assert_eq!(decoder().finish(true).unwrap().bytes(), b"");
            assert_eq!(decoder().finish(false).unwrap_err().reason, Reason::Protocol);
        }
        assert_eq!(
            decode(Some(Compression::Identity), None, b""),
            Ok((Vec::new(), 0))
        );
    }

    #[test]
    fn probes_do_not_use_the_memory_of_checks() {
        let bodies = BodyBudgets::default();
        let full = vec![b'x'; 10 << 20];
        let store = |is_probe| {
            let mut decoder = BodyDecoder::new(None, None, true, bodies.budget(is_probe));
            decoder.write(&full)?;
            decoder.finish(false)
        };
        let probes: Vec<StoredBody> = (0..12).map(|_| store(true).unwrap()).collect();
        let refused = store(true).unwrap_err();
        assert_eq!(refused.shortage, Some(Shortage::Memory));
        assert_eq!(
            refused.message(),
            "the bodies of all probes together take more than 134217728 bytes"
        );
        assert_eq!(store(false).unwrap().len(), full.len());
        drop(probes);
        assert_eq!((bodies.budget(true).used(), bodies.budget(false).used()), (0, 0));
        assert_eq!(store(true).unwrap().len(), full.len());
    }

    #[test]
    fn uncompressed_and_incomplete_bodies_are_a_problem() {
        assert_eq!(
            decode(Some(Compression::Gzip), None, b"plain text")
                .unwrap_err()
                .0,
            Reason::Protocol
        );
        let cut = gzip(b"hello, world");
        assert_eq!(
            decode(Some(Compression::Gzip), None, &cut[..cut.len() - 5])
                .unwrap_err()
                .0,
            Reason::Protocol
        );
    }
}
