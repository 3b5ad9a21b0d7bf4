//! Takes a body as it arrives: decompresses it, bounds it, and keeps it only where an assertion looks at it.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::write::{MultiGzDecoder, ZlibDecoder};

use crate::config::http::Compression;
use crate::model::{Problem, Reason};

/// The most bytes of all bodies kept at the same time. Ten thousand targets that all send as much as they may would
/// otherwise exhaust the machine.
const BUDGET_BYTES: usize = 256 << 20;

/// The memory that bodies take together.
#[derive(Debug, Default)]
pub struct BodyBudget(AtomicUsize);

impl BodyBudget {
    /// The bytes in use.
    pub fn used(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A body that was kept. Its share of the budget is returned when it is dropped.
#[derive(Debug)]
pub struct KeptBody {
    bytes: Vec<u8>,
    total: u64,
    budget: Arc<BodyBudget>,
}

impl KeptBody {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes the body had, kept or not.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The length of what was kept.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}

impl Drop for KeptBody {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

/// Where a body goes.
pub struct Sink {
    decoder: Decoder,
    is_empty: bool,
}

enum Decoder {
    Plain(Store),
    Gzip(Box<MultiGzDecoder<Store>>),
    Deflate(Box<ZlibDecoder<Store>>),
}

/// The end of the pipe; it counts, and keeps what is to be kept.
struct Store {
    kept: KeptBody,
    keep: bool,
    total: u64,
    limit: Option<u64>,
    exceeded: Option<Problem>,
}

impl Sink {
    /// A sink for a body with this compression and at most `limit` bytes without it.
    pub fn new(
        compression: Option<Compression>,
        limit: Option<u64>,
        keep: bool,
        budget: &Arc<BodyBudget>,
    ) -> Self {
        let store = Store {
            kept: KeptBody {
                bytes: Vec::new(),
                total: 0,
                budget: budget.clone(),
            },
            keep,
            total: 0,
            limit,
            exceeded: None,
        };
        let decoder = match compression {
            None | Some(Compression::Identity) => Decoder::Plain(store),
            Some(Compression::Gzip) => Decoder::Gzip(Box::new(MultiGzDecoder::new(store))),
            Some(Compression::Deflate) => Decoder::Deflate(Box::new(ZlibDecoder::new(store))),
        };
        Self {
            decoder,
            is_empty: true,
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// When the body is longer than it may be (`limit`), or not compressed as configured (`protocol`).
    pub fn write(&mut self, data: &[u8]) -> Result<(), Problem> {
        self.is_empty &= data.is_empty();
        let written = match &mut self.decoder {
            Decoder::Plain(store) => store.write_all(data),
            Decoder::Gzip(decoder) => decoder.write_all(data),
            Decoder::Deflate(decoder) => decoder.write_all(data),
        };
        written.map_err(|error| self.problem(&error))
    }

    /// Ends the body.
    ///
    /// # Errors
    /// As [`Sink::write`].
    pub fn finish(mut self) -> Result<KeptBody, Problem> {
        let ended = match &mut self.decoder {
            // The answer to a HEAD request, say, has no body, compressed or not.
            _ if self.is_empty => Ok(()),
            Decoder::Plain(_) => Ok(()),
            Decoder::Gzip(decoder) => decoder.try_finish(),
            Decoder::Deflate(decoder) => decoder.try_finish(),
        };
        ended.map_err(|error| self.problem(&error))?;
        let store = self.store();
        let budget = store.kept.budget.clone();
        store.kept.total = store.total;
        Ok(std::mem::replace(
            &mut store.kept,
            KeptBody {
                bytes: Vec::new(),
                total: 0,
                budget,
            },
        ))
    }

    /// How many bytes came out until now.
    pub fn total(&mut self) -> u64 {
        self.store().total
    }

    fn store(&mut self) -> &mut Store {
        match &mut self.decoder {
            Decoder::Plain(store) => store,
            Decoder::Gzip(decoder) => decoder.get_mut(),
            Decoder::Deflate(decoder) => decoder.get_mut(),
        }
    }

    fn problem(&mut self, error: &io::Error) -> Problem {
        let exceeded = self.store().exceeded.take();
        exceeded.unwrap_or_else(|| {
            Problem::new(
                Reason::Protocol,
                format_args!("the body is not compressed as configured: {error}"),
            )
        })
    }
}

impl Write for Store {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.total += data.len() as u64;
        if let Some(limit) = self.limit
            && self.total > limit
        {
            let message = format!("the body is longer than body_size_limit, {limit} bytes");
            return Err(self.exceed(Reason::Limit, &message));
        }
        if self.keep {
            let budget = &self.kept.budget.0;
            if budget.fetch_add(data.len(), Ordering::Relaxed) + data.len() > BUDGET_BYTES {
                budget.fetch_sub(data.len(), Ordering::Relaxed);
                let message =
                    format!("the bodies of all checks together take more than {BUDGET_BYTES} bytes");
                return Err(self.exceed(Reason::Internal, &message));
            }
            self.kept.bytes.extend_from_slice(data);
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Store {
    fn exceed(&mut self, reason: Reason, message: &str) -> io::Error {
        self.exceeded = Some(Problem::new(reason, message));
        io::Error::other("too long")
    }
}

#[cfg(test)]
mod tests {
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    fn take(
        compression: Option<Compression>,
        limit: Option<u64>,
        data: &[u8],
    ) -> Result<(Vec<u8>, usize), (Reason, String)> {
        let budget = Arc::default();
        let mut sink = Sink::new(compression, limit, true, &budget);
        let fed = data.chunks(7).try_for_each(|chunk| sink.write(chunk));
        let taken = fed.and_then(|()| sink.finish());
        let taken = taken.map(|body| (body.bytes().to_vec(), budget.used()));
        assert_eq!(budget.used(), 0, "what was dropped is no longer counted");
        taken.map_err(|problem| (problem.reason, problem.message().to_owned()))
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn bodies_are_kept_and_counted() {
        assert_eq!(
            take(None, None, b"hello, world"),
            Ok((b"hello, world".to_vec(), 12))
        );
        assert_eq!(
            take(Some(Compression::Identity), Some(3), b"abc"),
            Ok((b"abc".to_vec(), 3))
        );
    }

    #[test]
    fn bodies_are_decompressed() {
        let text = b"hello, world ".repeat(100);
        assert_eq!(take(Some(Compression::Gzip), None, &gzip(&text)).unwrap().0, text);
        let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&text).unwrap();
        assert_eq!(
            take(Some(Compression::Deflate), None, &encoder.finish().unwrap())
                .unwrap()
                .0,
            text
        );
    }

    #[test]
    fn a_bomb_ends_at_the_limit() {
        let bomb = gzip(&vec![0; 20 << 20]);
        assert!(bomb.len() < 50_000);
        let (reason, message) = take(Some(Compression::Gzip), Some(1 << 20), &bomb).unwrap_err();
        assert_eq!(
            (reason, message.as_str()),
            (
                Reason::Limit,
                "the body is longer than body_size_limit, 1048576 bytes"
            )
        );
    }

    #[test]
    fn no_body_needs_no_compression() {
        assert_eq!(take(Some(Compression::Gzip), None, b""), Ok((Vec::new(), 0)));
    }

    #[test]
    fn what_is_not_compressed_or_cut_off_is_a_problem() {
        assert_eq!(
            take(Some(Compression::Gzip), None, b"plain text").unwrap_err().0,
            Reason::Protocol
        );
        let cut = gzip(b"hello, world");
        assert_eq!(
            take(Some(Compression::Gzip), None, &cut[..cut.len() - 5])
                .unwrap_err()
                .0,
            Reason::Protocol
        );
    }
}
