//! Certificates with all kinds of faults, and a server that uses them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::Target;

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, in PEM.
#[derive(Clone)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Identity {
    /// Adds certificates to the chain.
    pub fn with(mut self, others: &[String]) -> Self {
        self.certificate.extend(others.iter().map(String::as_str));
        self
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

impl Authority {
    pub fn new(name: &str) -> Self {
        Self(CertifiedIssuer::self_signed(authority(name), KeyPair::generate().unwrap()).unwrap())
    }

    /// An authority whose certificate is valid until the beginning of the year `until`.
    pub fn until(name: &str, until: i32) -> Self {
        let mut params = authority(name);
        params.not_after = date_time_ymd(until, 1, 1);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// An authority signed by this one, valid until the beginning of the year `until`, with this key in PEM.
    pub fn below(&self, name: &str, key: &str, until: i32) -> Self {
        let mut params = authority(name);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::from_pem(key).unwrap();
        Self(CertifiedIssuer::signed_by(params, key, &self.0).unwrap())
    }

    /// A self-signed authority with this key in PEM.
    pub fn with_key(name: &str, key: &str, until: i32) -> Self {
        let mut params = authority(name);
        params.not_after = date_time_ymd(until, 1, 1);
        Self(CertifiedIssuer::self_signed(params, KeyPair::from_pem(key).unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names that is not valid for servers.
    pub fn issue_for_clients(&self, names: &[&str]) -> Identity {
        let mut params = parameters(names, 2099);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A certificate for these names that is valid until the beginning of the year `until`.
    pub fn issue(&self, names: &[&str], until: i32) -> Identity {
        let params = parameters(names, until);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Authority {
    /// A certificate for these names that is valid between these Unix times.
    pub fn issue_between(&self, names: &[&str], not_before: u64, not_after: u64) -> Identity {
        let time = |seconds| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
        let mut params = parameters(names, 2099);
        params.not_before = time(not_before);
        params.not_after = time(not_after);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// A new key, in PEM.
pub fn key() -> String {
    KeyPair::generate().unwrap().serialize_pem()
}

fn parameters(names: &[&str], until: i32) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = named("target");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}

/// A self-signed certificate.
pub fn self_signed(names: &[&str]) -> Identity {
    let key = KeyPair::generate().unwrap();
    let certificate = parameters(names, 2099).self_signed(&key).unwrap();
    Identity {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    }
}

/// A self-signed certificate with the flags of an authority, like those of `openssl req -x509`.
pub fn own_authority(names: &[&str]) -> Identity {
    let mut params = parameters(names, 2099);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Identity {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    }
}

/// The server side of handshakes. With `clients` it requires client certificates of that authority.
pub fn acceptor(identity: &Identity, protocols: &[&str], clients: Option<&Authority>) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            roots
                .add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap())
                .unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes())
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// A server that responds with `200 ok` over TLS, with HTTP/2 if the client offers it and `protocols` includes it. With `clients` it
/// requires client certificates of that authority.
pub async fn serve(identity: &Identity, protocols: &[&str], clients: Option<&Authority>) -> Target {
    let acceptor = acceptor(identity, protocols, clients);
    Target::serve(move |stream, _, state| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return None;
            };
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let service = service_fn(move |request: Request<Incoming>| {
                let seen = format!("{:?} {} {}", request.version(), request.method(), request.uri());
                state.record(format!("{seen} sni-host {:?}", request.headers().get("host")).as_bytes());
                async move { Ok::<_, Infallible>(Response::new("ok".to_owned())) }
            });
            let io = TokioIo::new(stream);
            let _ = match is_http2 {
                true => {
                    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(io, service)
                        .await
                }
                false => {
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(io, service)
                        .await
                }
            };
            None
        }
    })
    .await
}

/// A TLS server in front of a server without TLS, on the same machine.
pub async fn in_front_of(identity: &Identity, server: SocketAddr) -> Target {
    let acceptor = acceptor(identity, &[], None);
    Target::serve(move |stream, _, _| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.ok()?;
            let mut behind = TcpStream::connect(server).await.ok()?;
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
            None
        }
    })
    .await
}
