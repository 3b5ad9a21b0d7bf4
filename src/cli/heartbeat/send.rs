//! `upkeep_exporter heartbeat send`: sends one heartbeat.

use std::io::{self, Read};
use std::process::ExitCode;

use anyhow::Context;
use bytes::Bytes;

use super::beat::MAX_MESSAGE_BYTES;
use super::client::HeartbeatClient;
use super::delivery::deliver;
use super::flags::SendFlags;
use crate::cli::exit::{WRONG_USAGE, print_error};

/// Sends the heartbeat.
pub async fn send(flags: &SendFlags) -> anyhow::Result<ExitCode> {
    let mut client = match HeartbeatClient::new(&flags.exporter, flags.rid.clone()) {
        Ok(client) => client,
        Err(message) => {
            print_error(&message);
            return Ok(WRONG_USAGE.into());
        }
    };
    let message = match &*flags.message {
        "-" => read_message().context("reading the message from standard input")?,
        text => Bytes::copy_from_slice(text.as_bytes()),
    };
    let delivery = deliver(&mut client, flags.what.beat(), &message, flags.exporter.retry_for);
    let Err(error) = delivery.await else {
        return Ok(ExitCode::SUCCESS);
    };
    print_error(&format_args!(
        "upkeep_exporter: can't send the heartbeat to {}: {error}",
        client.shown()
    ));
    Ok(ExitCode::FAILURE)
}

/// The first bytes of standard input, as many as the exporter keeps. The rest is read and ignored, so that no writer fails.
fn read_message() -> io::Result<Bytes> {
    let mut input = io::stdin().lock();
    let mut message = Vec::new();
    let limit = MAX_MESSAGE_BYTES as u64;
    Read::by_ref(&mut input).take(limit).read_to_end(&mut message)?;
    io::copy(&mut input, &mut io::sink())?;
    Ok(message.into())
}
