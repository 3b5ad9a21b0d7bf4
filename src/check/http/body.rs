//! Decompresses a body as it arrives, limits its length, and stores it only if it will be evaluated.

use std::io::{self, Write};
use std::sync::Arc;

use brotli_decompressor::{BrotliDecoderParameter, DecompressorWriter};
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::check::body_budget::{BodyBudget, StoredBody};
use crate::config::http::Compression;
use crate::model::{Problem, Reason};

/// The output buffer of the Brotli decoder, in bytes.
const BROTLI_BUFFER_BYTES: usize = 8 << 10;
/// The most output that the Brotli decoder stores to refer to it: the largest window (RFC 7932, section 9.1).
const BROTLI_WINDOW_BYTES: u64 = 16 << 20;
/// How many bytes of a Brotli body are decoded at once if much output is allowed. Thirteen bytes can be a block of 16 MiB (RFC 7932,
/// section 9.2).
const BROTLI_PIECE_BYTES: usize = 16;
/// A body up to this length is decoded quickly.
const QUICK_BYTES: u64 = 64 << 20;

/// Decodes a body.
pub struct BodyDecoder {
    format: Format,
    is_empty: bool,
}

/// The decoder for the format of the body.
enum Format {
    Plain(Output),
    Gzip(Box<MultiGzDecoder<Output>>),
    /// RFC 7932.
    Brotli(Box<DecompressorWriter<Output>>),
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
    /// The most output that the decoder stores, too.
    window: u64,
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
            window: match compression {
                Some(Compression::Brotli) => BROTLI_WINDOW_BYTES,
                _ => 0,
            },
            problem: None,
        };
        let format = match compression {
            None | Some(Compression::Identity) => Format::Plain(output),
            Some(Compression::Gzip) => Format::Gzip(Box::new(MultiGzDecoder::new(output))),
            Some(Compression::Brotli) => Format::Brotli(Box::new(brotli(output))),
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

    /// How many bytes to pass to [`Self::write`] at once, at most. More would delay other runs and the deadline of this one.
    pub fn piece_bytes(&self) -> usize {
        match &self.format {
            Format::Brotli(decoder) if decoder.get_ref().limit.is_none_or(|limit| limit > QUICK_BYTES) => {
                BROTLI_PIECE_BYTES
            }
            _ => usize::MAX,
        }
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
            Format::Brotli(decoder) => decoder.close(),
            Format::Zlib(decoder) => decoder.try_finish(),
            Format::Raw(decoder) => decoder.try_finish(),
        };
        ended.map_err(|error| self.problem(&error))?;
        let output = self.output();
        output.body.release();
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
            Format::Brotli(decoder) => decoder.get_mut(),
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
            Self::Brotli(decoder) => decoder.write_all(data),
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

/// A decoder that rejects windows above 16 MiB. Only an extension of the format allows them, and they would use up to 1 GiB.
fn brotli(output: Output) -> DecompressorWriter<Output> {
    let mut decoder = DecompressorWriter::new(output, BROTLI_BUFFER_BYTES);
    decoder.set_parameter(BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW, 0);
    decoder
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
        if self.window > 0 {
            let stored = self.total.min(self.window);
            let reserved = self.body.reserve(usize::try_from(stored).unwrap_or(usize::MAX));
            reserved.map_err(|problem| self.fail(problem))?;
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
mod tests;
