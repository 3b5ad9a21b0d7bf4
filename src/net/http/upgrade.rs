//! The upgrade of an HTTP/1.1 connection to another protocol (RFC 9110, section 7.8).

use std::net::SocketAddr;
use std::pin::pin;

use bytes::Bytes;
use http::{Request, StatusCode, response};
use http_body_util::Full;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::driver::{Driver, drive, http1_builder};
use super::early_response::EarlyResponse;
use super::problems;
use crate::model::Problem;

/// What is done, for messages.
const DOING: &str = "waiting for the response to the upgrade request";

/// A connection after its upgrade, including what the server has sent already.
pub type UpgradedStream = TokioIo<Upgraded>;

/// Sends an upgrade request, and waits for the head of the response. Returns the upgraded connection as well if the status is 101.
///
/// # Errors
/// Why there is no response.
pub async fn upgrade<S>(
    stream: S,
    request: Request<Bytes>,
    peer: SocketAddr,
) -> Result<(response::Parts, Option<UpgradedStream>), Problem>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| problems::of_hyper(&error, peer, DOING);
    let handshake = http1_builder().handshake(TokioIo::new(EarlyResponse::new(stream)));
    let (mut sender, connection) = handshake.await.map_err(failed)?;
    let response = sender.send_request(request.map(Full::new));
    let driver: Driver = Box::pin(connection.with_upgrades());
    let mut driver = Some(driver);
    let mut response = drive(&mut driver, pin!(response)).await.map_err(failed)?;
    let upgraded = match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => {
            let upgraded = hyper::upgrade::on(&mut response);
            let upgraded = drive(&mut driver, pin!(upgraded)).await.map_err(failed)?;
            Some(TokioIo::new(upgraded))
        }
        _ => None,
    };
    Ok((response.into_parts().0, upgraded))
}
