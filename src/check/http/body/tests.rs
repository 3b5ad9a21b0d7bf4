//! Tests of decoding bodies.

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

/// "hello, world " a hundred times, as Node.js compresses it.
const BROTLI: &str = "1b1305f8a5cbd0d8ded42a8655031091ba9dc100";
/// The same with a window of 1 GiB, an extension of the format.
const BROTLI_LARGE_WINDOW: &str = "115e4c14e0972e43637b53ab18560d8008a9db190c";
/// 20 MiB of zeros.
const BROTLI_BOMB: &str = "cfffff7ff82700e2b14020f7fe3fffff7ff04f00c4610180eefd0f";

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    let bytes = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
    bytes.collect()
}

#[test]
fn brotli_bodies_are_decompressed() {
    let brotli = Some(Compression::Brotli);
    let text = b"hello, world ".repeat(100);
    let body = hex(BROTLI);
    assert_eq!(decode(brotli, None, &body), Ok((text.clone(), text.len())));
    let mut longer = body.clone();
    longer.push(0);
    for wrong in [
        &body[..body.len() - 1],
        &body[..3],
        &longer,
        b"plain text",
        &hex(BROTLI_LARGE_WINDOW),
    ] {
        let (reason, message) = decode(brotli, None, wrong).unwrap_err();
        assert_eq!(reason, Reason::Protocol, "{message}");
        assert!(
            message.starts_with("the body is not compressed as configured"),
            "{message}"
        );
    }
}

#[test]
fn brotli_bodies_without_a_limit_are_decoded_in_pieces() {
    let decoder = |compression, limit| {
        BodyDecoder::new(
            Some(compression),
            limit,
            false,
            BodyBudgets::default().budget(false),
        )
        .piece_bytes()
    };
    assert_eq!(decoder(Compression::Brotli, Some(10 << 20)), usize::MAX);
    assert_eq!(decoder(Compression::Gzip, None), usize::MAX);
    let size = decoder(Compression::Brotli, None);
    let bodies = BodyBudgets::default();
    let mut decoder = BodyDecoder::new(Some(Compression::Brotli), None, false, bodies.budget(false));
    for piece in hex(BROTLI_BOMB).chunks(size) {
        let before = decoder.total();
        decoder.write(piece).unwrap();
        assert!(decoder.total() - before <= 32 << 20);
    }
    assert_eq!(decoder.finish(false).unwrap().total(), 20 << 20);
}

#[test]
fn the_window_of_a_brotli_decoder_counts_as_memory() {
    let bodies = BodyBudgets::default();
    let budget = bodies.budget(true);
    let bomb = hex(BROTLI_BOMB);
    let mut decoder = BodyDecoder::new(Some(Compression::Brotli), None, false, budget);
    decoder.write(&bomb).unwrap();
    assert_eq!((decoder.total(), budget.used()), (20 << 20, 16 << 20));
    let body = decoder.finish(false).unwrap();
    assert_eq!((body.total(), body.len(), budget.used()), (20 << 20, 0, 0));
    let decoders: Vec<_> = (0..8)
        .map(|_| {
            let mut decoder = BodyDecoder::new(Some(Compression::Brotli), None, false, budget);
            decoder.write(&bomb).unwrap();
            decoder
        })
        .collect();
    let mut another = BodyDecoder::new(Some(Compression::Brotli), None, false, budget);
    let refused = another.write(&bomb).unwrap_err();
    assert_eq!(refused.shortage, Some(Shortage::Memory));
    drop((decoders, another));
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_decompression_bomb_ends_at_the_limit() {
    let bomb = gzip(&vec![0; 20 << 20]);
    assert!(bomb.len() < 50_000);
    for (compression, bomb) in [(Compression::Gzip, bomb), (Compression::Brotli, hex(BROTLI_BOMB))] {
        let (reason, message) = decode(Some(compression), Some(1 << 20), &bomb).unwrap_err();
        assert_eq!(
            (reason, message.as_str()),
            (
                Reason::Limit,
                "the body is longer than 1048576 bytes: raise body_size_limit to allow it"
            )
        );
    }
}

#[test]
fn a_missing_body_needs_no_compression() {
    let bodies = BodyBudgets::default();
    for compression in [Compression::Gzip, Compression::Brotli, Compression::Deflate] {
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
