//! A headless Chromium, driven over the Chrome DevTools Protocol.

use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::common::servers::{Server, eventually, tool};

/// Nothing here takes longer, even on a busy machine.
pub const LONG: Duration = Duration::from_secs(30);

/// The browser, with a profile of its own. Ended, by its id, when dropped.
pub struct Browser {
    server: Server,
    address: String,
    // After the server, which writes to it until its end.
    _profile: TempDir,
}

impl Browser {
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new(tool("chromium", "chromium"));
        command
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args([
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--hide-scrollbars",
            ])
            // The exporter under test has made its certificate itself.
            .arg("--ignore-certificate-errors")
            .arg("--remote-debugging-port=0")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank");
        let server = Server::start("chromium", command, profile.path());
        let address = eventually("chromium listens", LONG, || async {
            let log = server.log();
            let url = log.split("DevTools listening on ws://").nth(1)?;
            Some(url.split('/').next()?.to_owned())
        })
        .await;
        Self {
            server,
            address,
            _profile: profile,
        }
    }

    /// A new tab, which shows nothing yet.
    pub async fn tab(&self) -> Tab {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}/json/new?about:blank", self.address);
        let made = client.put(url).send().await.unwrap().bytes().await.unwrap();
        let made: Value = serde_json::from_slice(&made).unwrap();
        let url = made["webSocketDebuggerUrl"].as_str().unwrap();
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let (socket, _) = client_async(url, stream).await.unwrap();
        let mut tab = Tab {
            socket,
            last: 0,
            events: Vec::new(),
        };
        for domain in ["Page", "Runtime", "Log", "Network"] {
            tab.call(&format!("{domain}.enable"), json!({})).await;
        }
        tab
    }

    /// Tabs that are all visible, as if each had a window of its own.
    pub async fn windows(&self, number: usize) -> Vec<Tab> {
        let mut windows = Vec::new();
        for _ in 0..number {
            let mut tab = self.tab().await;
            tab.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true }))
                .await;
            windows.push(tab);
        }
        windows
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its helpers are its children; they end with it, but the profile must not vanish before.
        let family = crate::common::servers::family(self.server.pid());
        self.server.kill();
        let begun = Instant::now();
        let lives = |id: &u32| std::path::Path::new(&format!("/proc/{id}/exe")).exists();
        while family.iter().any(lives) && begun.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A tab of the browser.
pub struct Tab {
    socket: WebSocketStream<TcpStream>,
    last: u64,
    events: Vec<Value>,
}

impl Tab {
    /// Calls a method of the protocol.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let id = self.last;
        let request = json!({ "id": id, "method": method, "params": params });
        self.socket
            .send(Message::text(request.to_string()))
            .await
            .unwrap();
        loop {
            let message = self.next().await;
            if message["id"] == json!(id) {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    async fn next(&mut self) -> Value {
        loop {
            let message = timeout(LONG, self.socket.next())
                .await
                .expect("the browser answers");
            if let Message::Text(text) = message.unwrap().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// What the next event of this name says, or the last one that has come already.
    pub async fn event(&mut self, method: &str) -> Value {
        let known = self.events.iter().rposition(|event| event["method"] == method);
        if let Some(position) = known {
            return self.events.remove(position)["params"].clone();
        }
        loop {
            let event = self.next().await;
            if event["method"] == method {
                return event["params"].clone();
            }
            self.events.push(event);
        }
    }

    /// Loads a page and waits until it is complete.
    pub async fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url })).await;
        // The first answers may still come from the page before.
        let loaded = format!(
            "document.readyState === 'complete' && location.href === {}",
            json!(url)
        );
        self.until(&loaded).await;
    }

    /// The value of an expression.
    pub async fn eval(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let result = self.call("Runtime.evaluate", params).await;
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// The value of an expression in each frame of the page, in worlds of their own.
    pub async fn eval_in_frames(&mut self, expression: &str) -> Vec<Value> {
        let tree = self.call("Page.getFrameTree", json!({})).await;
        let mut values = Vec::new();
        for frame in tree["frameTree"]["childFrames"].as_array().unwrap() {
            let id = &frame["frame"]["id"];
            let world = self
                .call("Page.createIsolatedWorld", json!({ "frameId": id }))
                .await;
            let params = json!({ "expression": expression, "returnByValue": true, "contextId": world["executionContextId"] });
            let result = self.call("Runtime.evaluate", params).await;
            values.push(result["result"]["value"].clone());
        }
        values
    }

    /// Waits until an expression is true; says how long that took.
    pub async fn until(&mut self, expression: &str) -> Duration {
        let begun = Instant::now();
        loop {
            if self.eval(expression).await == json!(true) {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < LONG, "never true: {expression}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The text that a reader sees.
    pub async fn text(&mut self) -> String {
        let text = self.eval("document.body.innerText").await;
        text.as_str().unwrap().to_owned()
    }

    /// As if the reader's system preferred this colour scheme.
    pub async fn prefer(&mut self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }))
            .await;
    }

    /// As on a screen of this size.
    pub async fn resize(&mut self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Errors on the console, exceptions and violations of the content security policy so far.
    pub async fn faults(&mut self) -> Vec<Value> {
        // What happened before this call has been told when it is answered.
        self.eval("1").await;
        let is_fault = |event: &Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            Some("Log.entryAdded") => {
                let entry = &event["params"]["entry"];
                entry["level"] == "error" || entry["source"] == "security"
            }
            _ => false,
        };
        self.events
            .iter()
            .filter(|event| is_fault(event))
            .cloned()
            .collect()
    }

    /// Writes what the tab shows to a file, all of the page; for people who work on its design.
    pub async fn screenshot(&mut self, path: &str) {
        use base64::Engine;
        let params = json!({ "captureBeyondViewport": true });
        let shot = self.call("Page.captureScreenshot", params).await;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(shot["data"].as_str().unwrap())
            .unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}
