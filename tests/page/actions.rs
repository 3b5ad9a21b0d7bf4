//! The buttons that start, stop and restart a service, with units of a real systemd.

use std::fs;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::access::broken_rules;
use crate::browser::{Browser, LONG, Tab};
use crate::common::servers::{Server, eventually, free_port, tool};
use crate::common::systemd::Machine;

/// The user name and password of the test.
const USER: [&str; 2] = ["alice", "wonderland"];
/// `alice:wonderland` in base64 (RFC 7617).
const AUTHORIZATION: &str = "Basic YWxpY2U6d29uZGVybGFuZA==";

/// An exporter with a user, whose services are units of a machine.
struct Exporter {
    _server: Server,
    _dir: TempDir,
    port: u16,
}

impl Exporter {
    async fn start(machine: &Machine, units: &[&str], flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (config, web) = (dir.path().join("upkeep.yml"), dir.path().join("web.yml"));
        let bus = machine.bus_address();
        let services = units.iter().map(|unit| {
            format!(
                "- {{ key: {unit}, checks: [{{ kind: systemd, unit: {unit}, bus_address: '{bus}' }}] }}\n"
            )
        });
        fs::write(&config, format!("services:\n{}", services.collect::<String>())).unwrap();
        let output = Command::new(tool("htpasswd", "apache2-utils"))
            .args(["-nbBC4", USER[0], USER[1]])
            .output()
            .unwrap();
        let hashed = String::from_utf8(output.stdout).unwrap();
        let hash = hashed.trim().strip_prefix("alice:").unwrap();
        fs::write(&web, format!("basic_auth_users: {{ alice: \"{hash}\" }}\n")).unwrap();
        let port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--web.config.file={}", web.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--control.socket=")
            .args(flags);
        let server = Server::start("exporter", command, dir.path());
        eventually("the exporter listens", LONG, || async {
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Self {
            _server: server,
            _dir: dir,
            port,
        }
    }

    fn url(&self, unit: &str) -> String {
        format!("http://127.0.0.1:{}/service/{unit}", self.port)
    }
}

/// A tab whose requests have the password.
async fn tab(browser: &Browser) -> Tab {
    let mut tab = browser.tab().await;
    let headers = json!({ "headers": { "Authorization": AUTHORIZATION } });
    tab.call("Network.setExtraHTTPHeaders", headers).await;
    tab
}

/// The id of the last start of a unit.
async fn last_start(machine: &'static Machine, unit: &'static str) -> String {
    let command = format!("systemctl show -p InvocationID --value {unit}");
    tokio::task::spawn_blocking(move || machine.run(&command))
        .await
        .unwrap()
}

async fn click(tab: &mut Tab, selector: &str) {
    tab.eval(&format!("document.querySelector({}).click(); 1", json!(selector)))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clicks_restart_a_service() {
    let machine = tokio::task::spawn_blocking(Machine::boot).await.unwrap();
    let machine: &'static Machine = Box::leak(Box::new(machine));
    machine.write_unit("page-api.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    machine.write_unit(
        "page-broken.service",
        "[Service]\nType=oneshot\nExecStart=/bin/false\n",
    );
    machine.run("systemctl start page-api");
    let before = last_start(machine, "page-api").await;
    let units = ["page-api", "page-broken"];
    let exporter = Exporter::start(machine, &units, &["--web.enable-admin-api"]).await;
    let browser = Browser::start().await;
    let mut tab = tab(&browser).await;
    let url = exporter.url("page-api");
    tab.open(&url).await;
    assert_eq!(
        tab.eval("[...document.querySelectorAll('.actions summary')].map((one) => one.textContent)")
            .await,
        json!(["Start\u{2026}", "Stop\u{2026}", "Restart\u{2026}"])
    );

    // One click only asks.
    let button = "[data-key=action-restart] button";
    let is_visible = format!("document.querySelector('{button}').checkVisibility()");
    assert_eq!(tab.eval(&is_visible).await, json!(false));
    click(&mut tab, "[data-key=action-restart] summary").await;
    assert_eq!(tab.eval(&is_visible).await, json!(true));
    let question = "document.querySelector('[data-key=action-restart] p').innerText";
    assert_eq!(
        tab.eval(question).await,
        json!("Restart page-api.service of page-api?")
    );
    assert_eq!(last_start(machine, "page-api").await, before);
    tab.eval("window.isOld = true").await;
    click(&mut tab, button).await;
    tab.until("window.isOld === undefined && document.readyState === 'complete'")
        .await;
    assert_eq!(tab.eval("location.href").await, json!(url));
    assert_ne!(last_start(machine, "page-api").await, before);
    assert_eq!(broken_rules(&mut tab).await, [""; 0]);

    // An action that fails explains why, and leads back.
    tab.open(&exporter.url("page-broken")).await;
    click(&mut tab, "[data-key=action-start] summary").await;
    click(&mut tab, "[data-key=action-start] button").await;
    tab.until("document.body?.innerText.includes('the result failed')")
        .await;
    assert_eq!(broken_rules(&mut tab).await, [""; 0]);
    click(&mut tab, ".back a").await;
    tab.until("location.pathname === '/service/page-broken'").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_flag_there_are_no_buttons() {
    let machine = tokio::task::spawn_blocking(Machine::boot).await.unwrap();
    let exporter = Exporter::start(&machine, &["dbus"], &[]).await;
    let browser = Browser::start().await;
    let mut tab = tab(&browser).await;
    tab.open(&exporter.url("dbus")).await;
    assert_eq!(
        tab.eval("document.querySelectorAll('form').length").await,
        json!(0)
    );
    assert_eq!(tab.eval("document.querySelectorAll('h1').length").await, json!(1));
}
