//! A machine without systemd: namespaces for processes, mounts and the network, in which a script runs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

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
            if kind == "endless":
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
                while True:
                    writer.write(b"data: x\n\n")
                    await asyncio.sleep(0.2)
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

/// Functions for scripts.
const FUNCTIONS: &str = r#"
wait_for() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ $tries -lt 1800 ] || { echo "waited in vain: $*" >&2; tail -n 20 log* >&2; exit 1; }
        sleep 0.1
    done
}
shows() { curl -sf -m 5 http://127.0.0.1:10100/api/status >status && grep -q "\"$1\"" status; }
now() { date +%s%3N; }
"#;

/// Writes the files of servers, each with the name of its script, how it behaves and its ports, and returns the script that starts them.
fn starts(dir: &Path, servers: &[(&str, &str, &str)]) -> String {
    for name in ["count", "ready"] {
        fs::create_dir(dir.join(name)).unwrap();
    }
    let mut text = String::new();
    for (name, kind, ports) in servers {
        fs::write(dir.join(name), SERVER).unwrap();
        text.push_str(&format!("/usr/bin/python3 {name} {kind} {ports} &\n"));
    }
    text + &format!("wait_for sh -c '[ $(ls ready | wc -l) = {} ]'\n", servers.len())
}

/// Runs a script in `dir`, with the exporter as `$1`, without D-Bus and with the servers. Returns its output.
pub fn run_in(dir: &Path, servers: &[(&str, &str, &str)], script: &str) -> String {
    tool("unshare", "util-linux");
    let starts = starts(dir, servers);
    let text = format!("set -e\nip link set lo up\nmount -t tmpfs none /run\n{FUNCTIONS}{starts}{script}\n");
    fs::write(dir.join("script.sh"), text).unwrap();
    let output = Command::new("unshare")
        .args([
            "--net",
            "--pid",
            "--mount",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .args(["sh", "script.sh", env!("CARGO_BIN_EXE_upkeep_exporter")])
        .current_dir(dir)
        .env_remove("DOCKER_HOST")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

/// A command with its environment, as a line of a script.
pub fn command_line(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        let (name, value) = (name.to_str().unwrap(), value?.to_str().unwrap());
        Some(format!("{name}='{value}'"))
    });
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|word| format!("'{}'", word.to_str().unwrap()));
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

/// How many connections each port received.
pub fn counts(dir: &Path) -> BTreeMap<u16, u64> {
    let files = fs::read_dir(dir.join("count")).unwrap().map(Result::unwrap);
    let count = |entry: fs::DirEntry| {
        let port = entry.file_name().to_str()?.parse().ok()?;
        Some((port, entry.metadata().ok()?.len()))
    };
    files.filter_map(count).collect()
}

/// The services of a status document, by key.
pub fn services(document: &str) -> BTreeMap<String, Value> {
    let document: Value =
        serde_json::from_str(document).unwrap_or_else(|error| panic!("{error}: {document}"));
    let services = document["services"].as_object().unwrap().iter();
    services
        .map(|(key, service)| (key.clone(), service.clone()))
        .collect()
}

/// The number in the first line that begins with `word`.
pub fn number(said: &str, word: &str) -> u64 {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
    let line = line.unwrap_or_else(|| panic!("no line {word}: {said}"));
    line.trim()
        .parse()
        .unwrap_or_else(|error| panic!("{error}: {line}"))
}
