//! A store in this process. s3s verifies the signatures, and s3s-fs stores buckets as folders. In front of them are `MinIO`'s health
//! endpoints and its `Server` header, which tests control.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::SERVER;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::host::MultiDomain;
use s3s::service::{S3ServiceBuilder, SharedS3Service};
use s3s::{Body, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::super::targets::tls::Identity;

/// What a test may change while the store runs.
pub struct Switches {
    /// The status of `/minio/health/live`.
    pub live: AtomicU16,
    /// The status of `/minio/health/cluster`.
    pub cluster: AtomicU16,
    /// Whether responses identify the server as `MinIO`.
    pub is_minio: AtomicBool,
    /// A bucket for which the key lacks permission.
    pub denied: Arc<Mutex<Option<&'static str>>>,
    /// The requested paths.
    pub paths: Mutex<Vec<String>>,
    is_frozen: AtomicBool,
}

pub struct InProcess {
    root: PathBuf,
    port: u16,
    tls: Option<TlsAcceptor>,
    switches: Arc<Switches>,
    server: Option<JoinHandle<()>>,
}

impl InProcess {
    /// Prepares a store with its buckets in `dir`. It is not started yet.
    pub fn new(dir: &Path, port: u16, identity: Option<&Identity>) -> Self {
        let root = dir.join("data");
        std::fs::create_dir(&root).unwrap();
        Self {
            root,
            port,
            tls: identity.map(acceptor),
            switches: Arc::new(Switches {
                live: AtomicU16::new(200),
                cluster: AtomicU16::new(200),
                is_minio: AtomicBool::new(true),
                denied: Arc::default(),
                paths: Mutex::default(),
                is_frozen: AtomicBool::new(false),
            }),
            server: None,
        }
    }

    pub fn switches(&self) -> &Switches {
        &self.switches
    }

    pub fn freeze(&self, is_frozen: bool) {
        self.switches.is_frozen.store(is_frozen, Ordering::SeqCst);
    }

    pub async fn start(&mut self, access_key: &str, secret_key: &str) {
        let mut builder = S3ServiceBuilder::new(FileSystem::new(&self.root).unwrap());
        builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
        builder.set_access(Permissions(self.switches.denied.clone()));
        builder.set_host(
            MultiDomain::new(["localhost", "127.0.0.1"].map(|host| format!("{host}:{}", self.port))).unwrap(),
        );
        let service = builder.build().into_shared();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await.unwrap();
        let (tls, switches) = (self.tls.clone(), self.switches.clone());
        self.server = Some(tokio::spawn(async move {
            // Dropped with this task, together with its connections.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, service, switches) = (tls.clone(), service.clone(), switches.clone());
                connections.spawn(async move {
                    match tls {
                        None => serve(stream, service, switches).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, service, switches).await;
                            }
                        }
                    }
                });
            }
        }));
    }

    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            // An aborted task returns an error.
            let _ = server.await;
        }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, store: SharedS3Service, switches: Arc<Switches>) {
    let service = service_fn(move |request| answer(request, store.clone(), switches.clone()));
    // A client may disconnect at any time.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    store: SharedS3Service,
    switches: Arc<Switches>,
) -> Result<Response<Body>, Infallible> {
    while switches.is_frozen.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let path = request.uri().path().to_owned();
    switches.paths.lock().unwrap().push(path.clone());
    let health = |status: &AtomicU16| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(status.load(Ordering::SeqCst)).unwrap();
        response
    };
    let mut response = match path.as_str() {
        "/minio/health/live" => health(&switches.live),
        "/minio/health/cluster" => health(&switches.cluster),
        _ => store.call(request).await.expect("s3s answers errors too"),
    };
    if switches.is_minio.load(Ordering::SeqCst) {
        response
            .headers_mut()
            .insert(SERVER, HeaderValue::from_static("MinIO"));
    }
    Ok(response)
}

fn acceptor(identity: &Identity) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes());
    let chain = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// The permissions: everybody who signs requests may do everything, except with the denied bucket.
struct Permissions(Arc<Mutex<Option<&'static str>>>);

// `async fn check` is written out, because the trait returns boxed futures.
impl S3Access for Permissions {
    fn check<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        context: &'life1 mut S3AccessContext<'life2>,
    ) -> Pin<Box<dyn Future<Output = S3Result<()>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        let denied = *self.0.lock().unwrap();
        let is_denied = denied.is_some() && context.s3_path().get_bucket_name() == denied;
        let is_allowed = context.credentials().is_some() && !is_denied;
        Box::pin(async move {
            match is_allowed {
                true => Ok(()),
                false => Err(s3_error!(AccessDenied)),
            }
        })
    }
}
