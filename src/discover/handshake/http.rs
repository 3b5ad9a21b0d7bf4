//! Requests the pages of an HTTP server that tell whether it is healthy, all over one connection.

use std::hash::{DefaultHasher, Hasher};
use std::net::SocketAddr;
use std::pin::pin;

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::discover::facts::{Heard, HttpServer, Page, Server};
use crate::discover::pages::health_page;
use crate::model::USER_AGENT;
use crate::net::http::{Driver, MAX_HEAD_BYTES, drive};

/// The paths, in the order of the requests. The first one comes first because a server may close the connection after one response:
/// almost every server responds to it.
pub const PATHS: [&str; 6] = [
    "/",
    "/health",
    "/healthz",
    "/api/health",
    "/-/healthy",
    "/actuator/health",
];

/// The path of MinIO's health, which is public.
pub const MINIO_PATH: &str = "/minio/health/live";

/// The longest body that is read to its end. A health page has less than 1 KiB, and most first pages have less than this.
const MAX_BODY: usize = 1 << 20;

/// The longest body that a check reads by default is 10 MiB. A server that announces a length below that will end its response.
const MAX_ANNOUNCED: u64 = 8 << 20;

/// Explores the server of a connection. `heard` is updated after each response.
pub async fn explore<S>(stream: S, address: SocketAddr, is_tls: bool, heard: &mut Heard)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .max_header_size(MAX_HEAD_BYTES)
        .handshake(TokioIo::new(stream));
    let Ok((mut sender, connection)) = handshake.await else {
        return;
    };
    let mut driver: Option<Driver> = Some(Box::pin(connection));
    let mut server = HttpServer {
        is_tls,
        ..HttpServer::default()
    };
    let mut next = 0;
    while let Some(path) = path_at(next, server.is_minio) {
        next += 1;
        let Ok(request) = request(path, address) else {
            return;
        };
        let response = async {
            sender.ready().await?;
            sender.send_request(request).await
        };
        let Ok(response) = drive(&mut driver, pin!(response)).await else {
            return;
        };
        let status = response.status().as_u16();
        server.is_minio |= is_minio(response.headers());
        server.pages.push(Page {
            path,
            status,
            body: None,
        });
        *heard = Heard::Server(Server::Http(server.clone()));
        let body = response.into_body();
        let announced = body
            .size_hint()
            .exact()
            .filter(|length| *length > MAX_BODY as u64);
        let hash = match announced {
            Some(length) => (length <= MAX_ANNOUNCED).then_some(length),
            None => read(&mut driver, body).await,
        };
        if let Some(page) = server.pages.last_mut() {
            page.body = hash;
        }
        *heard = Heard::Server(Server::Http(server.clone()));
        // The rest of a long body is on the connection.
        if hash.is_none() || announced.is_some() {
            return;
        }
        if health_page(&server).is_some_and(|page| page.path != "/") {
            return;
        }
    }
}

/// The path of a request by its number.
fn path_at(number: usize, is_minio: bool) -> Option<&'static str> {
    match (number, is_minio) {
        (1, true) => Some(MINIO_PATH),
        (2.., true) => None,
        _ => PATHS.get(number).copied(),
    }
}

fn is_minio(headers: &HeaderMap) -> bool {
    let server = headers.get(header::SERVER).and_then(|value| value.to_str().ok());
    server.is_some_and(|name| name.starts_with("MinIO"))
}

fn request(path: &str, address: SocketAddr) -> Result<Request<Empty<Bytes>>, http::Error> {
    Request::get(path)
        .header(header::HOST, address.to_string())
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*")
        .body(Empty::new())
}

/// Reads a body, and returns a number for its content; `None` if it is too long or breaks off.
async fn read(driver: &mut Option<Driver>, mut body: Incoming) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    let mut length = 0;
    while let Some(frame) = drive(driver, pin!(body.frame())).await {
        if let Ok(data) = frame.ok()?.into_data() {
            length += data.len();
            if length > MAX_BODY {
                return None;
            }
            hasher.write(&data);
        }
    }
    hasher.write_usize(length);
    Some(hasher.finish())
}
