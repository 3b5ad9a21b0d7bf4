//! Link-local addresses, which need the name of their network interface (RFC 4007).

use std::fs;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;
use crate::common::stage::{is_on_stage, run as command};
use crate::common::targets::read_request;
use upkeep_exporter::check::Check;

/// Waits for the link-local address of an interface to become usable.
async fn address(interface: &str) -> String {
    let deadline = tokio::time::Instant::now() + LONG;
    loop {
        let known = fs::read_to_string("/proc/net/if_inet6").unwrap();
        let mut lines = known
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        // No longer tentative (0x40).
        let found = lines.find(|line| line[5] == interface && line[3] == "20" && line[4] == "80");
        if let Some(line) = found {
            let groups = line[0]
                .as_bytes()
                .chunks(4)
                .map(|group| std::str::from_utf8(group).unwrap());
            return groups.collect::<Vec<_>>().join(":");
        }
        assert!(tokio::time::Instant::now() < deadline, "no address: {known}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn once(check: &mut Check) -> Ran {
    run!(check, LONG)
}

#[tokio::test]
async fn link_local_addresses_are_reached_through_their_interface() {
    if !is_on_stage("zones::link_local_addresses_are_reached_through_their_interface") {
        return;
    }
    for words in [
        "link add v0 type veth peer name v1",
        "link set v0 up",
        "link set v1 up",
    ] {
        command("ip", &words.split(' ').collect::<Vec<_>>());
    }
    let address = address("v0").await;
    let listener = TcpListener::bind("[::]:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (requests, mut received) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let requests = requests.clone();
            tokio::spawn(async move {
                let request = read_request(&mut stream).await;
                let request = String::from_utf8_lossy(&request).to_ascii_lowercase();
                let answer = match request.contains("get /start ") {
                    true => {
                        b"HTTP/1.1 302 x\r\nLocation: /end\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                            .to_vec()
                    }
                    false => ok("fine"),
                };
                let _ = requests.send(request);
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    let url = format!("http://[{address}%25v0]:{port}/start");
    for keys in [
        format!("kind: http, url: \"{url}\""),
        format!("kind: tcp, address: \"[{address}%v0]:{port}\""),
        format!("kind: icmp, host: \"{address}%v0\""),
    ] {
        once(&mut common::ran::check(&keys)).await.succeeded();
    }
    // The Host header does not contain the interface.
    let request = received.recv().await.unwrap();
    let host = request
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    assert!(
        !host.contains('%') && host.ends_with(&format!("]:{port}")),
        "{request}"
    );
    let other = format!("kind: tcp, address: \"[{address}%none0]:{port}\"");
    once(&mut common::ran::check(&other))
        .await
        .failed(Reason::Unreachable, "this machine has no network interface none0");
}
