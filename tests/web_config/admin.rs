//! Actions on services by request: who may cause them, what they do to a real systemd, and what the log says.

use std::process::Command;

use crate::common::servers::eventually;
use crate::common::systemd::Machine;
use crate::guarded::{Answer, Guarded, LONG, hash};

const ALICE: [&str; 2] = ["-u", "alice:wonderland"];

fn users() -> String {
    format!("basic_auth_users: {{ alice: \"{}\" }}\n", hash("wonderland", 4))
}

fn config(machine: &Machine) -> String {
    let bus = machine.bus_address();
    format!(
        "services:
- {{ key: api, name: The API, checks: [{{ kind: systemd, unit: admin-api, bus_address: \"{bus}\" }}] }}
- {{ key: broken, checks: [{{ kind: systemd, unit: admin-broken, bus_address: \"{bus}\" }}] }}
- {{ key: port, checks: [{{ kind: tcp, address: '127.0.0.1:1' }}] }}
"
    )
}

fn post(guarded: &Guarded, path: &str, arguments: &[&str]) -> Answer {
    guarded.http(path, &[&ALICE[..], &["-X", "POST"], arguments].concat())
}

/// The number of times that the unit was started.
fn starts(machine: &Machine) -> usize {
    machine.try_run("cat /run/admin-starts").stdout.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn users_start_stop_and_restart_services() {
    let machine = Machine::boot();
    machine.write_unit(
        "admin-api.service",
        "[Service]\nType=exec\nExecStartPre=/bin/sh -c 'printf x >>/run/admin-starts'\nExecStart=/bin/sleep infinity\n",
    );
    machine.write_unit(
        "admin-broken.service",
        "[Service]\nType=oneshot\nExecStart=/bin/false\n",
    );
    let mut guarded = Guarded::prepare(&users());
    guarded.write("upkeep.yml", &config(&machine));
    guarded.launch_with(&["--web.enable-admin-api"]).await;

    let done = post(&guarded, "/api/services/api/start", &[]);
    assert_eq!(
        (done.status, done.body.as_str()),
        (
            200,
            r#"{"service":"api","action":"start","targets":[{"kind":"unit","name":"admin-api.service","result":"changed"}]}"#
        )
    );
    assert_eq!(machine.run("systemctl is-active admin-api").trim(), "active");
    let done = post(&guarded, "/api/services/api/start", &[]);
    assert!(done.body.contains("\"unchanged\""), "{done:?}");
    assert_eq!(post(&guarded, "/api/services/api/restart", &[]).status, 200);
    assert_eq!(starts(&machine), 2);

    // Browsers send this with the form of the page.
    let own = format!("Origin: http://localhost:{}", guarded.port);
    let browser = [
        "-H",
        "Accept: text/html,*/*;q=0.8",
        "-H",
        "Sec-Fetch-Site: same-origin",
        "-H",
        &own,
    ];
    let done = post(&guarded, "/api/services/api/restart", &browser);
    assert_eq!(done.status, 303, "{done:?}");
    assert!(done.head.contains("location: /service/api\r\n"), "{done:?}");
    assert_eq!(starts(&machine), 3);

    let failed = post(&guarded, "/api/services/broken/start", &[]);
    assert_eq!(failed.status, 502, "{failed:?}");
    assert!(
        failed.body.contains("systemd's job ended with the result failed"),
        "{failed:?}"
    );
    let failed = post(&guarded, "/api/services/broken/start", &browser);
    assert_eq!(failed.status, 502, "{failed:?}");
    assert!(failed.head.contains("content-type: text/html"), "{failed:?}");
    assert!(failed.body.contains("href=\"/service/broken\""), "{failed:?}");
    for (path, status, text) in [
        ("/api/services/port/stop", 409, "no unit or container"),
        ("/api/services/nobody/stop", 404, "no service has the key"),
        ("/api/services/api/stop?now=1", 400, "now"),
        ("/api/services/api/kill", 404, "no such endpoint"),
    ] {
        let refused = post(&guarded, path, &[]);
        assert_eq!(refused.status, status, "{refused:?}");
        assert!(refused.body.contains(text), "{refused:?}");
    }

    assert_eq!(post(&guarded, "/api/services/api/stop", &[]).status, 200);
    assert_eq!(
        machine.try_run("systemctl is-active admin-api").stdout,
        b"inactive\n"
    );
    let log = guarded.log();
    for line in [
        "message=\"admin request\" user=alice client=127.0.0.1 service=api action=restart result=\"admin-api.service changed\"",
        "message=\"admin request failed\" user=alice client=127.0.0.1 service=broken action=start error=\"start admin-broken.service",
    ] {
        assert!(log.contains(line), "{line}\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_can_cause_an_action() {
    let machine = Machine::boot();
    machine.write_unit(
        "admin-api.service",
        "[Service]\nType=exec\nExecStartPre=/bin/sh -c 'printf x >>/run/admin-starts'\nExecStart=/bin/sleep infinity\n",
    );
    let mut guarded = Guarded::prepare(&users());
    guarded.write("upkeep.yml", &config(&machine));
    guarded.launch_with(&["--web.enable-admin-api"]).await;
    let path = "/api/services/api/start";
    assert_eq!(guarded.http(path, &["-X", "POST"]).status, 401);
    for arguments in [&[][..], &["-X", "PUT"], &["-I"]] {
        let refused = guarded.http(path, &[&ALICE[..], arguments].concat());
        assert_eq!(refused.status, 405, "{refused:?}");
        assert!(refused.head.contains("allow: post\r\n"), "{refused:?}");
    }
    let own = format!("Origin: http://localhost:{}", guarded.port);
    for headers in [
        &["-H", "Sec-Fetch-Site: cross-site"][..],
        &["-H", "Sec-Fetch-Site: same-site"],
        &["-H", "Sec-Fetch-Site: none"],
        &["-H", "Sec-Fetch-Site: cross-site", "-H", &own],
        &[
            "-H",
            "Sec-Fetch-Site: same-origin",
            "-H",
            "Origin: http://attacker.example",
        ],
        &["-H", "Origin: http://attacker.example"],
        &["-H", "Origin: null"],
    ] {
        let refused = post(&guarded, path, headers);
        assert_eq!(refused.status, 403, "{headers:?}: {refused:?}");
    }
    assert_eq!(starts(&machine), 0);
    assert_eq!(post(&guarded, path, &["-H", &own]).status, 200);

    // The page has the buttons, and its policy allows their forms.
    let page = guarded.http("/service/api", &ALICE);
    assert!(
        page.body
            .contains("<form method=\"post\" action=\"/api/services/api/restart\">"),
        "{page:?}"
    );
    assert!(page.head.contains("form-action 'self'") && page.head.contains("referrer-policy: same-origin"));
    let page = guarded.http("/service/port", &ALICE);
    assert!(!page.body.contains("<form"), "a service without a unit: {page:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_need_the_flag_and_users() {
    let mut guarded = Guarded::prepare(&users());
    let config =
        "services: [{key: api, checks: [{kind: systemd, unit: x, bus_address: 'unix:path=/nonexistent'}]}]\n";
    guarded.write("upkeep.yml", config);
    guarded.launch().await;
    let refused = post(&guarded, "/api/services/api/start", &[]);
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.body.contains("--web.enable-admin-api"), "{refused:?}");
    let page = guarded.http("/service/api", &ALICE);
    assert_eq!(page.status, 200);
    assert!(!page.body.contains("<form") && page.head.contains("form-action 'none'"));

    // Without users, the exporter does not start.
    for arguments in [&[][..], &["--web.config.file", "tls.yml"]] {
        guarded.write("tls.yml", crate::guarded::TLS);
        let output = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
            .args([
                "--config.file=upkeep.yml",
                "--web.listen-address=127.0.0.1:0",
                "--web.enable-admin-api",
            ])
            .args(arguments)
            .current_dir(guarded.dir.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("--web.enable-admin-api needs users"), "{text}");
    }
}

/// The action runs to its end, and is logged, although its client is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_disconnects_does_not_end_the_action() {
    let machine = Machine::boot();
    machine.write_unit(
        "admin-api.service",
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'until test -e /run/go; do sleep 0.05; done'\n",
    );
    let mut guarded = Guarded::prepare(&users());
    guarded.write("upkeep.yml", &config(&machine));
    guarded.launch_with(&["--web.enable-admin-api"]).await;
    let gone = post(&guarded, "/api/services/api/start", &["-m", "2"]);
    assert_eq!(gone.status, 0, "{gone:?}");
    let busy = post(&guarded, "/api/services/api/stop", &[]);
    assert_eq!(busy.status, 409, "{busy:?}");
    machine.run("touch /run/go");
    eventually("the action is logged", LONG, || async {
        guarded
            .log()
            .contains("action=start result=\"admin-api.service changed\"")
            .then_some(())
    })
    .await;
    assert_eq!(post(&guarded, "/api/services/api/stop", &[]).status, 200);
}
