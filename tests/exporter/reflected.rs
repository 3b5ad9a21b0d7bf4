//! Targets that give secrets back, in everything they say: no text that is shown has one of them. Each key that can hold a secret
//! has a check here whose target reflects it; a new key has to be decided on.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{
    Request as UpgradeRequest, Response as UpgradeResponse,
};

use crate::common::redis::Redis;
use crate::common::schema_keys::schema_keys;
use crate::common::servers::{eventually, get};
use crate::{Exporter, LONG};

/// Where the tests listen.
const GUARD: &str = "probe: { allow: [{ networks: [127.0.0.0/8] }] }\n";

/// What each check is written as, by the keys that it tells a secret by. `@` is the secret, `%` the same in a URL.
const CHECKS: [(&str, &str); 37] = [
    (
        "bearer_token",
        "kind: http, url: \"http://{mirror}/\", bearer_token: \"@\", {wanted}",
    ),
    (
        "bearer_token_file",
        "kind: http, url: \"http://{mirror}/\", bearer_token_file: {file}, {wanted}",
    ),
    (
        "bearer_token_env",
        "kind: http, url: \"http://{mirror}/\", bearer_token_env: REFLECTED, {wanted}",
    ),
    (
        "basic_auth.password",
        "kind: http, url: \"http://{mirror}/\", basic_auth: { username: me, password: \"@\" }, {wanted}",
    ),
    (
        "basic_auth.username_file",
        "kind: http, url: \"http://{mirror}/\", basic_auth: { username_file: {file} }, {wanted}",
    ),
    (
        "authorization.credentials",
        "kind: http, url: \"http://{mirror}/\", authorization: { type: Key, credentials: \"@\" }, {wanted}",
    ),
    (
        "headers",
        "kind: http, url: \"http://{mirror}/\", headers: { X-Key: \"Token token=@\" }, {wanted}",
    ),
    (
        "http_headers.secrets",
        "kind: http, url: \"http://{mirror}/\", http_headers: { X-Key: { secrets: [\"@\"] } }, fail_if_body_json_not_matches_cel: \"body.ok\"",
    ),
    (
        "http_headers.files",
        "kind: http, url: \"http://{mirror}/\", http_headers: { X-Key: { files: [{file}] } }, {wanted}",
    ),
    (
        "metadata",
        "kind: grpc, address: \"{grpc}\", metadata: { x-key: [\"@\"] }",
    ),
    (
        "http_headers.values",
        "kind: http, url: \"http://{mirror}/\", http_headers: { X-Key: { values: [\"@\"] } }, {wanted}",
    ),
    (
        "body",
        "kind: http, url: \"http://{mirror}/\", method: POST, body: '{\"user\": \"me\", \"password\": \"@\"}', {wanted}",
    ),
    (
        "body_file",
        "kind: http, url: \"http://{mirror}/\", method: POST, body_file: {file}, {wanted}",
    ),
    ("url", "kind: http, url: \"http://me:%@{mirror}/\", {wanted}"),
    (
        "url (query)",
        "kind: http, url: \"http://{mirror}/?ready=true&token=%\", {wanted}",
    ),
    (
        "url (label)",
        "kind: http, url: \"http://{mirror}/json\", bearer_token: \"@\", extract_version: $.version, extract: [{ path: $.version, name: x }]",
    ),
    (
        "fail_if_header_matches",
        "kind: http, url: \"http://{mirror}/json\", bearer_token: \"@\", fail_if_header_matches: [{ header: X-Said, regexp: Bearer }]",
    ),
    (
        "proxy_url",
        "kind: http, url: \"http://elsewhere.test/\", proxy_url: \"http://me:%@{mirror}\", {wanted}",
    ),
    (
        "proxy_connect_header",
        "kind: http, url: \"https://elsewhere.test/\", proxy_url: \"http://{mirror}\", proxy_connect_header: { X-Key: [\"@\"] }",
    ),
    (
        "oauth2.client_secret",
        "kind: http, url: \"http://{mirror}/\", oauth2: { client_id: me, client_secret: \"@\", token_url: \"http://{mirror}/token\" }",
    ),
    (
        "client_secret_file",
        "kind: http, url: \"http://{mirror}/\", oauth2: { client_id: me, client_secret_file: {file}, token_url: \"http://{mirror}/token\" }",
    ),
    (
        "endpoint_params",
        "kind: http, url: \"http://{mirror}/\", oauth2: { client_id: me, token_url: \"http://{mirror}/token\", endpoint_params: { password: \"@\" } }",
    ),
    // The token is what was requested as a parameter.
    (
        "oauth2 (token)",
        "kind: http, url: \"http://{mirror}/\", oauth2: { client_id: me, token_url: \"http://{mirror}/grant\", endpoint_params: { wish: \"@\" } }, {wanted}",
    ),
    (
        "password",
        "kind: redis, url: \"redis://{redis}\", password: \"@\"",
    ),
    ("password (url)", "kind: redis, url: \"redis://:%@{redis}\""),
    (
        "password (postgres)",
        "kind: postgres, url: \"postgres://me:%@{postgres}/d?sslmode=disable\"",
    ),
    (
        "password (rabbitmq)",
        "kind: rabbitmq, url: \"amqp://me:%@{amqp}\"",
    ),
    (
        "management_password",
        "kind: rabbitmq, url: \"amqp://{amqp}\", management_url: \"http://{mirror}\", management_username: m, management_password: \"@\"",
    ),
    ("broker_url", "kind: celery, broker_url: \"redis://:%@{redis}/0\""),
    (
        "broker_url (amqp)",
        "kind: celery, broker_url: \"amqp://me:%@{amqp}//\"",
    ),
    (
        "secret_key access_key session_token",
        "kind: s3, endpoint: \"http://{mirror}\", access_key: \"@\", secret_key: \"@\", session_token: \"@\", buckets: [bucket]",
    ),
    (
        "api_key",
        "kind: provider, provider: compatible, base_url: \"http://{mirror}/v1\", api_key: \"@\", expected_models: [x]",
    ),
    (
        "query_response.send",
        "kind: tcp, address: \"{talk}\", query_response: [{ send: \"AUTH @\" }, { expect: \"^fine\" }]",
    ),
    (
        "query_response.send (unix)",
        "kind: unix, path: {socket}, query_response: [{ send: \"@\" }, { expect: \"^fine\" }]",
    ),
    (
        "query_response.send (websocket)",
        "kind: websocket, url: \"ws://{websocket}/\", query_response: [{ send: \"AUTH @\" }, { expect: \"^fine\" }]",
    ),
    ("command", "kind: exec, command: [{script}, --password, \"@\"]"),
    (
        "http_config.authorization",
        "kind: websocket, url: \"ws://{websocket}/\", http_config: { authorization: { credentials: \"@\" } }, query_response: [{ send: credentials }, { expect: \"^fine\" }]",
    ),
];

/// Modules, whose requests are those of checks; the second one tells what it heard in a label.
const MODULES: [(&str, &str, &str); 3] = [
    (
        "web",
        "{ prober: http, http: { basic_auth: { username: me, password: \"@\" }, {wanted} } }",
        "http://{mirror}/",
    ),
    (
        "talk",
        "{ prober: tcp, tcp: { query_response: [{ send: \"@\" }, { expect: \"^(.*)$\", labels: [{ name: said, value: \"${1}\" }] }] } }",
        "{talk}",
    ),
    (
        "json",
        "{ prober: http, http: { bearer_token: \"@\", fail_if_header_matches: [{ header: X-Said, regexp: Bearer }] } }",
        "http://{mirror}/json",
    ),
];

/// A secret of its own, with characters that each encoding writes differently.
fn secret(of: &str) -> String {
    let name: String = of.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("s3cret/+{name}Hunter2")
}

/// The parts of a text that no text may show: a secret, and what its encodings have in common.
fn traces(secret: &str) -> Vec<String> {
    let secret = secret.to_lowercase();
    // Their first character depends on what comes before, and their last one on what follows.
    let cores = |text: &str| {
        (0..3)
            .map(|before| {
                let encoded = STANDARD.encode(format!("{}{text}", &"..."[..before]));
                encoded[before * 4 / 3 + 1..encoded.len() - 4].to_owned()
            })
            .collect::<Vec<_>>()
    };
    let original = secret.replace("hunter2", "Hunter2");
    let mut traces = cores(&original);
    traces.push(secret.split('+').next_back().unwrap().to_owned());
    traces
}

/// What an evil server says of what it was told: it, in other cases and encodings.
fn said(text: &str) -> String {
    let encoded = percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string();
    let json = serde_json::to_string(text).unwrap();
    [
        text,
        &text.to_uppercase(),
        &encoded,
        &encoded.to_lowercase(),
        &STANDARD.encode(text),
        &STANDARD.encode(format!("a{text}")),
        &percent_decode_str(text).decode_utf8_lossy(),
        &json,
    ]
    .join(" ")
}

async fn serve<F: Future<Output = Option<()>> + Send>(
    answer: impl Fn(TcpStream) -> F + Copy + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move { answer(stream).await });
        }
    });
    address
}

/// Answers each request with what is secret in it, which begins its body; `/json` in a document and in a header.
async fn mirror(mut stream: TcpStream) -> Option<()> {
    let mut request = vec![0; 16 << 10];
    let mut length = 0;
    loop {
        let count = stream
            .read(&mut request[length..])
            .await
            .ok()
            .filter(|count| *count > 0)?;
        length += count;
        let text = String::from_utf8_lossy(&request[..length]).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let wanted = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() < wanted.unwrap_or(0) {
            continue;
        }
        let value = |name: &str| {
            head.lines().find_map(|line| {
                line.to_lowercase()
                    .starts_with(name)
                    .then(|| line[name.len()..].trim())
            })
        };
        let told = value("authorization:")
            .or_else(|| value("proxy-authorization:"))
            .or_else(|| value("x-key:"))
            .or((!body.is_empty()).then_some(body))
            .or_else(|| head.split_whitespace().nth(1))?;
        // A plain one for what is cut early, and all the others.
        let answer = match head.contains(" /json ") {
            false if head.contains(" /v1/models ") => {
                serde_json::json!({ "data": [{ "id": told, "name": said(told) }] }).to_string()
            }
            false if head.contains(" /token ") => {
                serde_json::json!({ "error": told, "error_description": body }).to_string()
            }
            false if head.contains(" /grant ") => {
                let wish = body.split("wish=").nth(1)?;
                let token = percent_decode_str(wish).decode_utf8_lossy();
                serde_json::json!({ "access_token": token }).to_string()
            }
            true => serde_json::json!({ "version": told }).to_string(),
            false if head.contains("X-Amz-") => format!(
                "<Error><Code>SignatureDoesNotMatch</Code><Message>{}</Message></Error>",
                told.replace('&', " ")
            ),
            false => format!("{told} {}", said(told)),
        };
        let status = if head.contains("X-Amz-") {
            "403 Forbidden"
        } else {
            "200 OK"
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\nX-Said: {told}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
            answer.len()
        );
        stream.write_all(answer.as_bytes()).await.ok()?;
        return Some(());
    }
}

/// Rejects each call with the metadata that it has.
async fn grpc(stream: TcpStream) -> Option<()> {
    let reject = async |request: Request<Incoming>| {
        let told = request
            .headers()
            .get("x-key")
            .map_or("", |value| value.to_str().unwrap());
        let message = percent_encode(said(told).as_bytes(), NON_ALPHANUMERIC).to_string();
        Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "16")
            .header("grpc-message", message)
            .body(Empty::<Bytes>::new())
    };
    let server = http2::Builder::new(TokioExecutor::new());
    let served = server.serve_connection(TokioIo::new(stream), service_fn(reject));
    served.await.ok()
}

/// Answers a message with itself, or with the credentials of the upgrade request.
async fn websocket(stream: TcpStream) -> Option<()> {
    let mut credentials = String::new();
    #[allow(clippy::result_large_err)] // The signature is the library's.
    let read = |request: &UpgradeRequest, response: UpgradeResponse| {
        let header = request.headers().get("authorization");
        credentials = header.map_or(String::new(), |value| value.to_str().unwrap().to_owned());
        Ok(response)
    };
    let mut socket = accept_hdr_async(stream, read).await.ok()?;
    let message = socket.next().await?.ok()?.into_text().ok()?;
    let told = if message == "credentials" {
        &credentials
    } else {
        message.as_str()
    };
    socket.send(Message::text(said(told))).await.ok()
}

/// Answers each line with itself.
async fn talk(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin) -> Option<()> {
    let mut line = vec![0; 4096];
    let count = stream.read(&mut line).await.ok()?;
    let line = String::from_utf8_lossy(&line[..count]).trim().to_owned();
    for form in said(&line).split(' ').map(str::to_owned).chain([line]) {
        stream.write_all(format!("500 {form}\n").as_bytes()).await.ok()?;
    }
    Some(())
}

/// Asks for the password in clear and quotes it, as no good server does.
async fn postgres(mut stream: TcpStream) -> Option<()> {
    let message = |kind: u8, body: &[u8]| {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind][..], &length[..], body].concat()
    };
    let mut told = vec![0; 4096];
    let _asked = stream.read(&mut told).await.ok()?;
    stream
        .write_all(&message(b'R', &3_u32.to_be_bytes()))
        .await
        .ok()?;
    let count = stream.read(&mut told).await.ok()?;
    let password = String::from_utf8_lossy(&told[5..count - 1]).into_owned();
    let error = format!(
        "SFATAL\0C28P01\0M{} is not the password of me\0\0",
        said(&password)
    );
    stream.write_all(&message(b'E', error.as_bytes())).await.ok()
}

/// A broker that refuses each login, quoting it.
async fn amqp(mut stream: TcpStream) -> Option<()> {
    let frame = |method: &[u8]| {
        let length = u32::try_from(method.len()).unwrap().to_be_bytes();
        [&[1, 0, 0][..], &length[..], method, &[0xce]].concat()
    };
    let mut told = vec![0; 4096];
    let _asked = stream.read(&mut told).await.ok()?;
    let start = [
        &[0, 10, 0, 10, 0, 9, 0, 0, 0, 0, 0, 0, 0, 5][..],
        b"PLAIN",
        &[0, 0, 0, 5],
        b"en_US",
    ]
    .concat();
    stream.write_all(&frame(&start)).await.ok()?;
    let count = stream.read(&mut told).await.ok()?;
    let login = String::from_utf8_lossy(&told[..count]).into_owned();
    let password = login.split("\0me\0").nth(1)?.split('\0').next()?.to_uppercase();
    let text = format!("login {}", password.chars().take(200).collect::<String>());
    let close = [
        &[0, 10, 0, 50, 1, 0x93, u8::try_from(text.len()).ok()?][..],
        text.as_bytes(),
        &[0, 0, 0, 0],
    ]
    .concat();
    stream.write_all(&frame(&close)).await.ok()?;
    let _ = stream.read(&mut told).await;
    Some(())
}

/// Repeats its secret in the message and in a label.
const SCRIPT: &str =
    "#!/bin/sh\nname=$(printf %s \"$2\" | base64 -w0)\necho \"CRITICAL: $2 $name|'$2'=1 $name=2\"\nexit 2\n";

/// The servers, by what stands for them.
struct Servers {
    _redis: Redis,
    dir: tempfile::TempDir,
    places: Vec<(&'static str, String)>,
}

impl Servers {
    async fn start() -> Self {
        let redis = Redis::start(&["rename-command AUTH \"\""]).await;
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream));
            }
        });
        let script = dir.path().join("script");
        fs::write(&script, SCRIPT).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let places = vec![
            ("{script}", script.display().to_string()),
            ("{mirror}", serve(mirror).await),
            ("{talk}", serve(talk).await),
            ("{grpc}", serve(grpc).await),
            ("{websocket}", serve(websocket).await),
            ("{postgres}", serve(postgres).await),
            ("{amqp}", serve(amqp).await),
            ("{redis}", format!("127.0.0.1:{}", redis.port())),
            ("{socket}", socket.display().to_string()),
            (
                "{wanted}",
                "fail_if_body_not_matches_regexp: [healthy]".to_owned(),
            ),
        ];
        Self {
            _redis: redis,
            dir,
            places,
        }
    }

    /// A text with its places and its secret filled in.
    fn filled(&self, of: &str, text: &str) -> String {
        let secret = secret(of);
        let file = self.dir.path().join(secret.replace('/', "_"));
        fs::write(&file, format!("{secret}\n")).unwrap();
        let encoded = percent_encode(secret.as_bytes(), NON_ALPHANUMERIC).to_string();
        // What is left in place of the secret is filled in last: an encoded one has percent signs too.
        let text = text
            .replace("%@", "\u{1}@\u{2}")
            .replace("token=%", "token=\u{1}")
            .replace('@', &secret);
        let text = text
            .replace(&format!("{secret}\u{2}"), "@")
            .replace('\u{1}', &encoded);
        let text = text.replace("{file}", &file.display().to_string());
        self.places
            .iter()
            .fold(text, |text, (place, value)| text.replace(place, value))
    }

    fn config(&self) -> String {
        let mut text =
            format!("defaults: {{ interval: 1s, recheck_interval: 1s, timeout: 4s }}\n{GUARD}modules:\n");
        text = format!(
            "exec: {{ allowed_directories: [{}] }}\n{text}",
            self.dir.path().display()
        );
        for (name, module, _) in MODULES {
            text += &format!("  {name}: {}\n", self.filled(name, module));
        }
        text += "services:\n";
        for (index, (key, check)) in CHECKS.iter().enumerate() {
            text += &format!(
                "  - {{ key: s{index}, checks: [{{ {} }}] }}\n",
                self.filled(key, check)
            );
        }
        text
    }
}

/// All secrets of the configuration, with what they belong to.
fn secrets() -> Vec<(&'static str, String)> {
    let keys = CHECKS
        .iter()
        .map(|(key, _)| *key)
        .chain(MODULES.iter().map(|(name, ..)| *name));
    keys.map(|key| {
        (
            key,
            secret(if key == "bearer_token_env" {
                ENVIRONMENT
            } else {
                key
            }),
        )
    })
    .collect()
}

const ENVIRONMENT: &str = "environment";

fn shows_none(what: &str, text: &str) {
    // The names of files are shown. They contain the secret in another form.
    let text = secrets().iter().fold(text.to_owned(), |text, (_, secret)| {
        text.replace(&secret.replace('/', "_"), "")
    });
    let text = text.to_lowercase();
    for (key, secret) in secrets() {
        for recorder in traces(&secret) {
            let recorder = recorder.to_lowercase();
            if let Some(at) = text.find(&recorder) {
                let from = text[..at].rfind('\n').map_or(0, |line| line + 1);
                let line: String = text[from..].lines().next().unwrap().chars().take(2000).collect();
                panic!("{what} shows the secret of {key} ({recorder}): {line}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_shows_a_secret_that_a_target_gives_back() {
    let servers = Servers::start().await;
    let config = servers.config();
    let file = servers.dir.path().join("upkeep.yml");
    fs::write(&file, &config).unwrap();
    let status = servers.dir.path().join("status.json");
    let mut judged = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
    let judged = judged
        .args(["check-config", file.to_str().unwrap()])
        .env("REFLECTED", "x")
        .output()
        .unwrap();
    assert!(
        judged.status.success(),
        "{}",
        String::from_utf8_lossy(&[judged.stdout, judged.stderr].concat())
    );
    for format in ["logfmt", "json"] {
        let flags = [
            format!("--log.format={format}"),
            "--log.level=debug".to_owned(),
            format!("--status.file={}", status.display()),
        ];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let exporter = Exporter::start_with(&config, &flags, &[("REFLECTED", &secret(ENVIRONMENT))]).await;
        let url = exporter.url("/api/status");
        let document = eventually("every check's message", LONG, || async {
            let document: Value = serde_json::from_str(&get(&url).await?).unwrap();
            let services = document["services"].as_object()?;
            let has_text = |service: &Value| {
                !service["checks"][0]["message"]
                    .as_str()
                    .unwrap_or_default()
                    .is_empty()
            };
            services.values().all(has_text).then_some(document)
        })
        .await;
        // The targets did give something back.
        let shown = document.to_string().matches("<secret>").count();
        assert!(shown >= CHECKS.len() / 2, "{shown}: {document:#}");
        for path in [
            "/",
            "/metrics",
            "/api/status",
            "/widget",
            "/models",
            "/api/models",
            "/config",
        ] {
            shows_none(path, &get(&exporter.url(path)).await.unwrap());
        }
        for index in 0..CHECKS.len() {
            shows_none(
                "a service's page",
                &get(&exporter.url(&format!("/service/s{index}"))).await.unwrap(),
            );
        }
        for (name, _, target) in MODULES {
            let target = servers.filled(name, target);
            for debug in ["", "&debug=true"] {
                let target = percent_encode(target.as_bytes(), NON_ALPHANUMERIC);
                let text = get(&exporter.url(&format!("/probe?module={name}&target={target}{debug}")))
                    .await
                    .unwrap();
                shows_none(&format!("/probe {name}{debug}"), &text);
                let is_told = name == "talk" || !debug.is_empty();
                assert!(!is_told || text.contains("<secret>"), "{text}");
            }
        }
        let events = Command::new("curl")
            .args([
                "--silent",
                "--noproxy",
                "*",
                "--max-time",
                "2",
                &exporter.url("/api/events"),
            ])
            .output()
            .unwrap();
        assert!(!events.stdout.is_empty());
        shows_none("/api/events", &String::from_utf8_lossy(&events.stdout));
        shows_none("the log", &exporter.server.log());
        shows_none("the status file", &fs::read_to_string(&status).unwrap());
    }
    for output in ["table", "json", "csv"] {
        let checked = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
            .args([
                "check",
                "--config.file",
                file.to_str().unwrap(),
                "--debug",
                "--output",
                output,
            ])
            .env("REFLECTED", secret(ENVIRONMENT))
            .output()
            .unwrap();
        assert!(checked.status.code().is_some_and(|code| code < 4), "{checked:?}");
        for text in [checked.stdout, checked.stderr] {
            shows_none("check --debug", &String::from_utf8_lossy(&text));
        }
    }
}

#[test]
fn every_key_that_may_hold_a_secret_is_reflected() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/upkeep.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let found = schema_keys(&schema["properties"]["services"], &schema);
    let reflected: BTreeSet<&str> = CHECKS
        .iter()
        .flat_map(|(keys, _)| keys.split([' ', '.']))
        .collect();
    let is_reflected = |key: &str| {
        let base = key
            .strip_suffix("_file")
            .or_else(|| key.strip_suffix("_env"))
            .unwrap_or(key);
        reflected.contains(key) || reflected.contains(base)
    };
    let undecided: Vec<&str> = found
        .iter()
        .map(String::as_str)
        .filter(|key| !is_reflected(key) && !OPEN.contains(key))
        .collect();
    // Who adds a key decides whether it may hold a secret: if so, a check above reflects it.
    assert_eq!(undecided, [""; 0]);
}

/// Keys that hold no secret, or one that is not sent: the private key of a certificate (`key`), and the token that a job sends
/// (`token`; see `tests/exporter/heartbeat.rs`).
const OPEN: [&str; 204] = [
    "action",
    "address",
    "after",
    "allow_missing",
    "any_of",
    "api_key_credential",
    "auth_mechanism",
    "backoff",
    "base_url",
    "body_size_limit",
    "buckets",
    "budget",
    "bus_address",
    "ca",
    "ca_file",
    "cert",
    "cert_file",
    "certificate",
    "checks",
    "client_id",
    "cmdline_regex",
    "compression",
    "container",
    "control_exchange",
    "cpu",
    "cpu_below",
    "cron",
    "degraded",
    "depends_on",
    "description",
    "directory",
    "disks",
    "dns_over_tls",
    "dont_fragment",
    "down",
    "enable_http2",
    "enable_http3",
    "enabled",
    "endpoint",
    "environment",
    "every",
    "exclude",
    "exe",
    "expect",
    "expect_bytes",
    "expected_http",
    "expected_models",
    "expected_workers",
    "extra",
    "extract",
    "extract_version",
    "extras",
    "fail_before",
    "fail_if_all_match_regexp",
    "fail_if_body_json_matches_cel",
    "fail_if_body_json_not_matches_cel",
    "fail_if_body_matches_regexp",
    "fail_if_body_not_matches_regexp",
    "fail_if_header_not_matches",
    "fail_if_matches_regexp",
    "fail_if_none_matches_regexp",
    "fail_if_not_matches_regexp",
    "fail_if_not_ssl",
    "fail_if_ssl",
    "failures_before_down",
    "fanout_prefix",
    "file_descriptors_below",
    "follow_redirects",
    "format",
    "free_above",
    "global_keyprefix",
    "grace",
    "grant_type",
    "group",
    "groups",
    "header",
    "heal",
    "health",
    "host",
    "inodes_free_above",
    "insecure_skip_verify",
    "interpreter",
    "interval",
    "io",
    "ip_protocol_fallback",
    "key",
    "key_file",
    "kind",
    "labels",
    "load_below",
    "lockfile",
    "management_timeout",
    "management_url",
    "management_username",
    "match",
    "max",
    "max_connection_share",
    "max_memory_share",
    "max_messages",
    "max_redirects",
    "max_replication_lag",
    "max_version",
    "memory",
    "memory_available_above",
    "memory_below",
    "memory_share_below",
    "method",
    "metrics",
    "min",
    "min_consumers",
    "min_version",
    "min_workers",
    "mode",
    "model_dates",
    "mount",
    "name",
    "no_follow_redirects",
    "no_proxy",
    "objective",
    "on_outage",
    "organization",
    "over_limit",
    "path",
    "path_style",
    "payload_size",
    "per_service",
    "pid_namespace",
    "port",
    "preferred_ip_protocol",
    "pressure",
    "priority_steps",
    "process",
    "process_match",
    "production",
    "project",
    "protocol",
    "provider",
    "proxy_from_environment",
    "query",
    "query_class",
    "query_name",
    "query_type",
    "queues",
    "range",
    "reasons",
    "recheck_interval",
    "recursion_desired",
    "regex",
    "regexp",
    "region",
    "reply_timeout",
    "requirements",
    "requires",
    "resources",
    "reuse_connection",
    "runbook_url",
    "scopes",
    "sep",
    "serializer",
    "server",
    "server_name",
    "service",
    "severity",
    "skip_resolve_phase_with_proxy",
    "slo",
    "slow",
    "source_ip_address",
    "start_grace",
    "starttls",
    "stateful",
    "statement_timeout",
    "successes_before_up",
    "swap_below",
    "systemd",
    "tasks_below",
    "thresholds",
    "tier",
    "timeout",
    "timezone",
    "tls",
    "tls_config",
    "token",
    "token_env",
    "token_file",
    "token_url",
    "tolerance",
    "total",
    "transitive",
    "transport_protocol",
    "ttl",
    "type",
    "unit",
    "user",
    "username",
    "username_env",
    "valid_http_versions",
    "valid_rcodes",
    "valid_status_codes",
    "validate_additional_rrs",
    "validate_answer_rrs",
    "validate_authority_rrs",
    "value",
    "warn_before",
    "window",
];
