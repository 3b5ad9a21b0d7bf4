//! Discovery in a container without systemd: namespaces of their own, with servers that behave badly.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use upkeep_exporter::config::{Config, parse};

use crate::common::servers::tool;

/// A server that counts its connections in files with the names of ports. Arguments: how it behaves, then its ports.
const SERVER: &str = r#"
import asyncio, os, sys
async def main(kind, ports):
    async def serve(port, reader, writer):
        with open(f"count/{port}", "a") as file: file.write("x")
        try:
            if kind == "flood":
                while True:
                    writer.write(b"x" * 65536)
                    await writer.drain()
            while kind == "http":
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ")[1]
                body = b"ok" if path == b"/healthz" else b"no"
                status = b"200 OK" if path == b"/healthz" else b"404 Not Found"
                writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n" + body)
            await asyncio.sleep(1000)
        except (ConnectionError, asyncio.IncompleteReadError): pass
        finally: writer.close()
    for port in ports:
        await asyncio.start_server(lambda r, w, port=port: serve(port, r, w), "127.0.0.1", port, backlog=16)
    open(f"ready/{sys.argv[1]}-{ports[0]}", "w").close()
    await asyncio.sleep(1000)
first, last = (int(port) for port in sys.argv[2].split("-"))
asyncio.run(main(sys.argv[1], range(first, last + 1)))
"#;

/// The servers: the name of the script, how it behaves, its ports.
const SERVERS: [(&str, &str, &str); 5] = [
    ("web.py", "http", "8001-8001"),
    ("mute.py", "mute", "7001-7001"),
    ("flood.py", "flood", "7002-7002"),
    ("printer.py", "mute", "9100-9101"),
    ("many.py", "mute", "12001-12500"),
];

/// Runs a script with the exporter as `$1` in namespaces without systemd, without D-Bus and with the servers. Returns its output, and
/// how many connections each port received.
fn run(user: &str, script: &str) -> (String, BTreeMap<u16, u64>) {
    tool("unshare", "util-linux");
    let dir = tempfile::tempdir().unwrap();
    for name in ["count", "ready"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    let mut starts = String::new();
    for (name, kind, ports) in SERVERS {
        fs::write(dir.path().join(name), SERVER).unwrap();
        starts.push_str(&format!("/usr/bin/python3 {name} {kind} {ports} &\n"));
    }
    let text = format!(
        "set -e\nip link set lo up\nmount -t tmpfs none /run\n{starts}\
         until [ $(ls ready | wc -l) = {} ]; do sleep 0.05; done\n{user} sh -ec '{script}' sh \"$1\"\n",
        SERVERS.len()
    );
    let output = Command::new("unshare")
        .args([
            "--net",
            "--pid",
            "--mount",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            &text,
            "sh",
        ])
        .arg(env!("CARGO_BIN_EXE_upkeep_exporter"))
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (said, counts(&dir.path().join("count")))
}

fn counts(directory: &Path) -> BTreeMap<u16, u64> {
    let files = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let count = |entry: fs::DirEntry| {
        let port = entry.file_name().to_str()?.parse().ok()?;
        Some((port, entry.metadata().ok()?.len()))
    };
    files.filter_map(count).collect()
}

fn loaded(text: &str) -> Config {
    parse(text, "found")
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
        .config
}

fn targets(config: &Config, key: &str) -> Vec<String> {
    let service = config.services.iter().find(|service| service.key.as_str() == key);
    let service = service.unwrap_or_else(|| panic!("{key} is missing: {:?}", config.services));
    service.checks.iter().map(|check| check.kind.target()).collect()
}

#[test]
fn servers_that_behave_badly_are_left_alone() {
    let mut began = Instant::now();
    let (mut text, mut counts) = run("", "$1 discover");
    // A server on a busy machine may need more than the 1 s of a connection for three pages.
    for _ in 0..4 {
        if text.contains(":8001/healthz") {
            break;
        }
        began = Instant::now();
        (text, counts) = run("", "$1 discover");
    }
    let config = loaded(&text);
    assert!(
        targets(&config, "web.py").contains(&"http://127.0.0.1:8001/healthz".to_owned()),
        "{text}"
    );
    assert_eq!(targets(&config, "mute.py")[0], "tcp *:7001");
    assert_eq!(targets(&config, "flood.py")[0], "tcp *:7002");
    assert_eq!(targets(&config, "many.py")[0], "tcp *:12001");
    assert!(
        text.contains("units of systemd are not known: no D-Bus"),
        "{text}"
    );
    let printers = [counts.get(&9100), counts.get(&9101)];
    assert_eq!(printers, [None, None], "printers print what they receive");
    assert_eq!(counts.len(), 503, "every other port is asked");
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    // 502 ports that say nothing for a second, 64 at once, take 8 s.
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

/// In a container, a user without privileges finds the same services, except for the names of the programs.
#[test]
fn no_check_fails_in_a_container() {
    for user in ["", "setpriv --reuid=nobody --regid=nogroup --clear-groups"] {
        let (said, counts) = run(user, "$1 check -o csv");
        assert!(said.contains(",up,"), "{said}");
        assert!(
            !said.contains(",down,") && !said.contains(",degraded,") && !said.contains(",unknown,"),
            "{said}"
        );
        assert_eq!(counts.get(&9100), None, "{counts:?}");
    }
}

/// The page has the services of the machine within 3 s of the start; on a busy machine, it may take longer.
#[test]
fn the_exporter_starts_with_the_services_of_the_machine() {
    let script = "$1 --log.format=json --control.socket= 2>log & timeout 40 sh -c \"until curl -sf -m 5 http://127.0.0.1:10100/-/ready; do sleep 0.1; done\" >/dev/null; \
                  curl -sf -m 5 http://127.0.0.1:10100/metrics | grep ^upkeep_service_up; curl -sf -m 5 http://127.0.0.1:10100/; kill $!";
    let (said, counts) = run("", script);
    for key in ["upkeep_exporter", "machine", "web.py", "mute.py", "many.py"] {
        let up = said
            .lines()
            .find(|line| line.starts_with("upkeep_service_up{") && line.contains(&format!("\"{key}\"")));
        assert!(up.is_some_and(|line| line.ends_with(" 1")), "{key}: {said}");
    }
    assert!(
        said.contains("discover --write"),
        "the page says how to write a file: {said}"
    );
    assert_eq!(counts.get(&7001), Some(&1), "{counts:?}");
}
