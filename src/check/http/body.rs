//! Takes a body as it arrives: decompresses it, bounds it, and keeps it only where an assertion looks at it.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::config::http::Compression;
use crate::model::{Problem, Reason, Shortage};

/// The most bytes of all checks' bodies kept at the same time. Ten thousand targets that all send as much as they may
/// would otherwise exhaust the machine.
const CHECKS_BYTES: usize = 256 << 20;
/// The same of probes: twelve of the longest that a module takes by default.
const PROBES_BYTES: usize = 128 << 20;

/// The memory for bodies. Whoever may probe chooses what is probed, so probes have a share of their own: they can't take
/// that of the checks. A clone shares it.
#[derive(Clone, Debug)]
pub struct Bodies {
    checks: Arc<BodyBudget>,
    probes: Arc<BodyBudget>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            checks: Arc::new(BodyBudget::new("checks", CHECKS_BYTES)),
            probes: Arc::new(BodyBudget::new("probes", PROBES_BYTES)),
        }
    }
}

impl Bodies {
    /// The share that a run takes from.
    pub fn share(&self, is_probe: bool) -> &Arc<BodyBudget> {
        if is_probe { &self.probes } else { &self.checks }
    }
}

/// The memory that bodies take together.
#[derive(Debug)]
pub struct BodyBudget {
    used: AtomicUsize,
    limit: usize,
    of: &'static str,
}

impl BodyBudget {
    fn new(of: &'static str, limit: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            limit,
            of,
        }
    }

    /// The bytes in use.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
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
    fn empty(budget: &Arc<BodyBudget>) -> Self {
        Self {
            bytes: Vec::new(),
            total: 0,
            budget: budget.clone(),
        }
    }

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
        self.budget.used.fetch_sub(self.bytes.len(), Ordering::Relaxed);
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
    /// What may be of either format, with its first byte.
    Unknown(Store, Option<u8>),
    /// RFC 9110, section 8.4.1.2: the zlib format (RFC 1950).
    Zlib(Box<ZlibDecoder<Store>>),
    /// What many servers send instead: the data alone (RFC 1951).
    Raw(Box<DeflateDecoder<Store>>),
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
            kept: KeptBody::empty(budget),
            keep,
            total: 0,
            limit,
            exceeded: None,
        };
        let decoder = match compression {
            None | Some(Compression::Identity) => Decoder::Plain(store),
            Some(Compression::Gzip) => Decoder::Gzip(Box::new(MultiGzDecoder::new(store))),
            Some(Compression::Deflate) => Decoder::Unknown(store, None),
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
        let written = self.decoder.write_all(data);
        written.map_err(|error| self.problem(&error))
    }

    /// Ends the body. `may_miss` tells whether there may be none, compressed or not, as in the answer to a HEAD request.
    ///
    /// # Errors
    /// As [`Sink::write`].
    pub fn finish(mut self, may_miss: bool) -> Result<KeptBody, Problem> {
        let ended = match &mut self.decoder {
            _ if self.is_empty && may_miss => Ok(()),
            Decoder::Plain(_) => Ok(()),
            // A decoder that was given nothing does not miss it.
            _ if self.is_empty => Err(io::Error::other("it is empty")),
            Decoder::Unknown(..) => Err(io::ErrorKind::UnexpectedEof.into()),
            Decoder::Gzip(decoder) => decoder.try_finish(),
            Decoder::Zlib(decoder) => decoder.try_finish(),
            Decoder::Raw(decoder) => decoder.try_finish(),
        };
        ended.map_err(|error| self.problem(&error))?;
        let store = self.store();
        let empty = KeptBody::empty(&store.kept.budget);
        store.kept.total = store.total;
        Ok(std::mem::replace(&mut store.kept, empty))
    }

    /// How many bytes came out until now.
    pub fn total(&mut self) -> u64 {
        self.store().total
    }

    fn store(&mut self) -> &mut Store {
        match &mut self.decoder {
            Decoder::Plain(store) | Decoder::Unknown(store, _) => store,
            Decoder::Gzip(decoder) => decoder.get_mut(),
            Decoder::Zlib(decoder) => decoder.get_mut(),
            Decoder::Raw(decoder) => decoder.get_mut(),
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

impl Decoder {
    fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(store) => store.write_all(data),
            Self::Gzip(decoder) => decoder.write_all(data),
            Self::Zlib(decoder) => decoder.write_all(data),
            Self::Raw(decoder) => decoder.write_all(data),
            Self::Unknown(store, first) => {
                let (one, two, rest) = match (*first, data) {
                    (_, []) => return Ok(()),
                    (None, [byte]) => {
                        *first = Some(*byte);
                        return Ok(());
                    }
                    (None, [one, two, rest @ ..]) => (*one, *two, rest),
                    (Some(one), [two, rest @ ..]) => (one, *two, rest),
                };
                let empty = Store {
                    kept: KeptBody::empty(&store.kept.budget),
                    exceeded: None,
                    ..*store
                };
                let store = std::mem::replace(store, empty);
                *self = match is_zlib(one, two) {
                    true => Self::Zlib(Box::new(ZlibDecoder::new(store))),
                    false => Self::Raw(Box::new(DeflateDecoder::new(store))),
                };
                self.write_all(&[one, two])?;
                self.write_all(rest)
            }
        }
    }
}

/// Whether two bytes begin the zlib format (RFC 1950, section 2.2). Data of deflate alone would begin so with a stored block
/// whose padding is not zero, which no compressor writes.
fn is_zlib(one: u8, two: u8) -> bool {
    one & 0x0f == 8 && u16::from_be_bytes([one, two]).is_multiple_of(31)
}

impl Write for Store {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.total += data.len() as u64;
        if let Some(limit) = self.limit
            && self.total > limit
        {
            let message =
                format!("the body is longer than {limit} bytes: raise body_size_limit if it should be taken");
            return Err(self.exceed(Reason::Limit, &message));
        }
        if self.keep {
            let BodyBudget { used, limit, of } = &*self.kept.budget;
            if used.fetch_add(data.len(), Ordering::Relaxed) + data.len() > *limit {
                used.fetch_sub(data.len(), Ordering::Relaxed);
                let message = format!("the bodies of all {of} together take more than {limit} bytes");
                self.exceeded = Some(Problem::from_shortage(Shortage::Memory, message));
                return Err(io::Error::other("no memory for it"));
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
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn take(
        compression: Option<Compression>,
        limit: Option<u64>,
        data: &[u8],
    ) -> Result<(Vec<u8>, usize), (Reason, String)> {
        let budget = Bodies::default().share(false).clone();
        let mut sink = Sink::new(compression, limit, true, &budget);
        let fed = data.chunks(7).try_for_each(|chunk| sink.write(chunk));
        let taken = fed.and_then(|()| sink.finish(false));
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
        for level in 0..=9 {
            let level = flate2::Compression::new(level);
            let mut zlib = ZlibEncoder::new(Vec::new(), level);
            zlib.write_all(&text).unwrap();
            let mut raw = DeflateEncoder::new(Vec::new(), level);
            raw.write_all(&text).unwrap();
            for body in [zlib.finish().unwrap(), raw.finish().unwrap()] {
                let mut body = body;
                assert_eq!(take(Some(Compression::Deflate), None, &body).unwrap().0, text);
                // Byte by byte, which is how the format may become known.
                let mut sink = Sink::new(
                    Some(Compression::Deflate),
                    None,
                    true,
                    Bodies::default().share(false),
                );
                body.iter().for_each(|byte| sink.write(&[*byte]).unwrap());
                assert_eq!(sink.finish(false).unwrap().bytes(), text);
                body.truncate(body.len() - 5);
                for cut in [&body[..], &body[..1]] {
                    let problem = take(Some(Compression::Deflate), None, cut).unwrap_err();
                    assert_eq!(problem.0, Reason::Protocol, "{} bytes", cut.len());
                }
            }
        }
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
                "the body is longer than 1048576 bytes: raise body_size_limit if it should be taken"
            )
        );
    }

    #[test]
    fn no_body_needs_no_compression() {
        let bodies = Bodies::default();
        for compression in [Compression::Gzip, Compression::Deflate] {
            let sink = || Sink::new(Some(compression), None, true, bodies.share(false));
            assert_eq!(sink().finish(true).unwrap().bytes(), b"");
            assert_eq!(sink().finish(false).unwrap_err().reason, Reason::Protocol);
        }
        assert_eq!(take(Some(Compression::Identity), None, b""), Ok((Vec::new(), 0)));
    }

    #[test]
    fn probes_do_not_take_the_memory_of_checks() {
        let bodies = Bodies::default();
        let full = vec![b'x'; 10 << 20];
        let keep = |is_probe| {
            let mut sink = Sink::new(None, None, true, bodies.share(is_probe));
            sink.write(&full)?;
            sink.finish(false)
        };
        let probes: Vec<KeptBody> = (0..12).map(|_| keep(true).unwrap()).collect();
        let refused = keep(true).unwrap_err();
        assert_eq!(refused.shortage, Some(Shortage::Memory));
        assert_eq!(
            refused.message(),
            "the bodies of all probes together take more than 134217728 bytes"
        );
        assert_eq!(keep(false).unwrap().len(), full.len());
        drop(probes);
        assert_eq!((bodies.share(true).used(), bodies.share(false).used()), (0, 0));
        assert_eq!(keep(true).unwrap().len(), full.len());
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
