//! dns probes of a real name server, and of what is none.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

use super::{Case, Difference, compare_all, is_of_tls};
use crate::common::knot::Knot;
use crate::common::targets::{Target, tls};
use crate::exposition::family;

/// Where we differ in dns probes alone.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "A DNS query is not a response",
        explains: |case, series, theirs, ours| {
            let told = match series {
                "probe_success" | "probe_dns_query_succeeded" => (Some(1.0), Some(0.0)),
                "probe_dns_serial" => (Some(0.0), None),
                _ => return false,
            };
            case == "\"the question again\"" && (theirs, ours) == told
        },
    },
    Difference {
        name: "The certificate of a name server is reported",
        explains: |case, series, theirs, ours| {
            case.starts_with("over_tls") && is_of_tls(family(series)) && theirs.is_none() && ours.is_some()
        },
    },
    Difference {
        name: "Malformed DNS responses are a failure",
        explains: |case, series, theirs, ours| {
            matches!(case, "two_edns" | "fewer" | "twice") && is_of_success(series) && theirs > ours
        },
    },
    Difference {
        name: "Both names of response code 16 are valid",
        explains: |case, series, theirs, ours| {
            let told = (series, theirs, ours);
            case == "badvers_wanted" && told == ("probe_success", Some(0.0), Some(1.0))
        },
    },
    Difference {
        name: "A DNS datagram may be longer than 512 bytes",
        explains: |case, series, theirs, ours| case == "large" && is_of_success(series) && ours > theirs,
    },
];

/// Whether a series tells of the answer.
fn is_of_success(series: &str) -> bool {
    matches!(
        series,
        "probe_success" | "probe_dns_query_succeeded" | "probe_dns_answer_rrs" | "probe_dns_additional_rrs"
    )
}

/// What is asked of the name server, over each transport, beside what is asked of the others: `NAME: OPTIONS`.
const QUESTIONS: [(&str, &str); 25] = [
    ("a", "query_name: ns1.example.org, query_type: A"),
    ("aaaa", "query_name: ns1.example.org, query_type: AAAA"),
    ("cname", "query_name: www.example.org, query_type: CNAME"),
    ("through_cname", "query_name: www.example.org, query_type: A"),
    ("soa", "query_name: example.org, query_type: SOA"),
    ("soa_elsewhere", "query_name: ns1.example.org, query_type: SOA"),
    ("any", "query_name: example.org"),
    ("mx", "query_name: example.org, query_type: MX"),
    ("txt", "query_name: example.org, query_type: TXT"),
    ("srv", "query_name: _sip._tcp.example.org, query_type: SRV"),
    ("big", "query_name: big.example.org, query_type: TXT"),
    ("nobody", "query_name: nobody.example.org, query_type: A"),
    (
        "nobody_fine",
        "query_name: nobody.example.org, query_type: A, valid_rcodes: [NXDOMAIN]",
    ),
    (
        "only_nobody",
        "query_name: ns1.example.org, query_type: A, valid_rcodes: [NXDOMAIN]",
    ),
    ("servfail", "query_name: broken.test, query_type: A"),
    ("refused", "query_name: elsewhere.test, query_type: A"),
    (
        "chaos",
        "query_name: version.server, query_type: TXT, query_class: CH",
    ),
    (
        "no_recursion",
        "query_name: ns1.example.org, query_type: A, recursion_desired: false",
    ),
    (
        "from",
        "query_name: ns1.example.org, query_type: A, source_ip_address: 127.0.0.9",
    ),
    (
        "ip4",
        "query_name: ns1.example.org, query_type: A, preferred_ip_protocol: ip4, ip_protocol_fallback: false",
    ),
    (
        "ip6",
        "query_name: ns1.example.org, query_type: A, preferred_ip_protocol: ip6, ip_protocol_fallback: false",
    ),
    (
        "mx_exact",
        r#"query_name: example.org, query_type: MX,
        validate_answer_rrs: { fail_if_not_matches_regexp: ["^example[.]org[.]\t300\tIN\tMX\t10 mail[.]example[.]org[.]$"] }"#,
    ),
    (
        "txt_exact",
        r#"query_name: example.org, query_type: TXT, validate_answer_rrs: { fail_if_none_matches_regexp:
        ['^example\.org\.\t300\tIN\tTXT\t"v=spf1 -all" "say \\"hi\\" back\\\\slash" "caf\\233"$'] }"#,
    ),
    (
        "caa_exact",
        r#"query_name: example.org, query_type: CAA, validate_answer_rrs: { fail_if_not_matches_regexp:
        ['^example\.org\.\t300\tIN\tCAA\t(0 issue "letsencrypt.org"|128 iodef "mailto:hostmaster@example.org")$'] }"#,
    ),
    (
        "two_demands",
        r#"query_name: example.org, query_type: MX, validate_answer_rrs: {
        fail_if_not_matches_regexp: ["10"], fail_if_matches_regexp: ["20"], fail_if_none_matches_regexp: ["mail"] }"#,
    ),
];
const KINDS: [&str; 4] = [
    "fail_if_matches_regexp",
    "fail_if_all_match_regexp",
    "fail_if_not_matches_regexp",
    "fail_if_none_matches_regexp",
];
/// What some records have in them, what all have, and what none has.
const PATTERNS: [(&str, &str); 3] = [("some", "ns1|MX"), ("all", "example"), ("none", "nothing")];
/// In which section the records are that a question brings.
const SECTIONS: [(&str, &str, &str); 4] = [
    ("answer", "example.org", "MX"),
    ("answer", "example.org", "ANY"),
    ("authority", "nobody.child.example.org", "A"),
    ("additional", "example.org", "MX"),
];

fn leaked(text: String) -> &'static str {
    text.leak()
}

/// The modules by name, of which the names are those of cases of the name server.
fn modules() -> Vec<(&'static str, String)> {
    let mut all: Vec<(&'static str, String)> = Vec::new();
    for transport in ["udp", "tcp"] {
        for (name, options) in QUESTIONS {
            let name = leaked(format!("{name}_{transport}"));
            all.push((name, format!("transport_protocol: {transport}, {options}")));
        }
    }
    for (section, name, kind) in SECTIONS {
        for key in KINDS {
            for (which, pattern) in PATTERNS {
                let module = leaked(format!("{section}_{kind}_{key}_{which}"));
                let demand = format!("validate_{section}_rrs: {{ {key}: [\"{pattern}\"] }}");
                all.push((
                    module,
                    format!("query_name: {name}, query_type: {kind}, {demand}"),
                ));
            }
        }
    }
    all
}

/// Answers questions in datagrams with what `answer` makes of them.
async fn datagrams(answer: fn(&[u8]) -> Option<Vec<u8>>) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut question = [0; 1500];
        while let Ok((length, peer)) = socket.recv_from(&mut question).await {
            if let Some(answer) = answer(&question[..length]) {
                let _ = socket.send_to(&answer, peer).await;
            }
        }
    });
    address
}

/// An address of the name that was asked for.
const RECORD: &[u8] = b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\xc0\0\x02\x01";
/// The pseudo-record of EDNS.
const EDNS: &[u8] = b"\0\0\x29\x10\0\0\0\0\0\0\0";
/// The same that asks for DNSSEC, and one with a high part of a response code: BADVERS.
const EDNS_DO: &[u8] = b"\0\0\x29\x04\xd0\0\0\x80\0\0\0";
const EDNS_BADVERS: &[u8] = b"\0\0\x29\x10\0\x01\0\0\0\0\0";

/// An answer with this many records in its sections, and these.
fn reply(question: &[u8], [answers, additional]: [u8; 2], records: &[&[u8]]) -> Vec<u8> {
    let mut reply = question.to_vec();
    reply[2] |= 0x80;
    reply[7] = answers;
    reply[11] = additional;
    reply.extend(records.concat());
    reply
}

/// Answers one question over a connection with what `answer` makes of it, and closes its side.
async fn connections(answer: fn(&[u8]) -> Vec<u8>) -> Target {
    Target::serve(move |mut stream, _, _| async move {
        let mut question = vec![0; usize::from(stream.read_u16().await.ok()?)];
        stream.read_exact(&mut question).await.ok()?;
        stream.write_all(&answer(&question)).await.ok()?;
        stream.shutdown().await.ok()?;
        Some(stream)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dns_probes_tell_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let authority = tls::Authority::new("test authority");
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let knot = Knot::start().await;
    let secure = tls::in_front_of(&authority.issue(&["127.0.0.1"], 2099), knot.address).await;
    let refusing = Target::refusing().await.to_string();
    let silent = Target::silent().await;
    let closing = Target::closing(false).await;
    let garbled = connections(|_| b"\x00\x10SSH-2.0-OpenSSH_9".to_vec()).await;
    let short = connections(|_| b"\x00\x10SSH".to_vec()).await;
    let short_message = connections(|question| [b"\x00\x05", &question[..5]].concat()).await;
    let mute = datagrams(|_| None).await;
    let garbage = datagrams(|_| Some(b"SSH-2.0-OpenSSH_9".to_vec())).await;
    let echo = datagrams(|question| Some(question.to_vec())).await;
    let edns = datagrams(|question| Some(reply(question, [1, 1], &[RECORD, EDNS]))).await;
    let edns_do = datagrams(|question| Some(reply(question, [1, 1], &[RECORD, EDNS_DO]))).await;
    let badvers = datagrams(|question| Some(reply(question, [1, 1], &[RECORD, EDNS_BADVERS]))).await;
    let two_edns = datagrams(|question| Some(reply(question, [1, 2], &[RECORD, EDNS, EDNS]))).await;
    let fewer = datagrams(|question| Some(reply(question, [2, 0], &[RECORD]))).await;
    let large = datagrams(|question| Some(reply(question, [40, 0], &[RECORD; 40]))).await;
    let twice = datagrams(|question| {
        let mut reply = reply(question, [0, 0], &[&question[12..]]);
        reply[5] = 2;
        Some(reply)
    })
    .await;
    let mut text = String::new();
    let mut cases = Vec::new();
    let mut add = |name: &'static str, options: String, target: String| {
        text.push_str(&format!(
            "\n  {name}: {{ prober: dns, timeout: 1s, dns: {{ {options} }} }}"
        ));
        cases.push(Case {
            name,
            module: name,
            target,
        });
    };
    for (name, options) in modules() {
        add(name, options, knot.address.to_string());
    }
    let (over_udp, over_tcp) = (
        "query_name: example.org, query_type: SOA",
        "query_name: example.org, query_type: SOA, transport_protocol: tcp",
    );
    for (name, options, target) in [
        (
            "by name, UDP",
            over_udp,
            format!("localhost:{}", knot.address.port()),
        ),
        (
            "by name, TCP",
            over_tcp,
            format!("localhost:{}", knot.address.port()),
        ),
        ("refused, UDP", over_udp, refusing.clone()),
        ("refused, TCP", over_tcp, refusing.clone()),
        ("silent, UDP", over_udp, mute),
        ("silent, TCP", over_tcp, silent.address.to_string()),
        ("closing", over_tcp, closing.address.to_string()),
        ("unknown server, UDP", over_udp, "nonexistent.invalid".to_owned()),
        (
            "unknown server, TCP",
            over_tcp,
            "nonexistent.invalid:53".to_owned(),
        ),
        ("garbage, UDP", over_udp, garbage),
        ("the question again", over_udp, echo),
        ("garbage, TCP", over_tcp, garbled.address.to_string()),
        ("cut off", over_tcp, short.address.to_string()),
        ("too short", over_tcp, short_message.address.to_string()),
    ] {
        let name = leaked(format!("\"{name}\""));
        add(name, options.to_owned(), target);
    }
    let address = "query_name: example.org, query_type: A";
    add(
        "badvers_wanted",
        format!("{address}, valid_rcodes: [BADVERS]"),
        badvers.clone(),
    );
    let plain = [
        ("two_edns", two_edns),
        ("fewer", fewer),
        ("large", large),
        ("twice", twice),
        ("badvers", badvers),
        ("edns", edns.clone()),
    ];
    for (name, target) in plain {
        add(name, address.to_owned(), target);
    }
    let exact = r"^\n;; OPT PSEUDOSECTION:\n; EDNS: version 0; flags: ?; udp: 4096$";
    let exact_do = r"^\n;; OPT PSEUDOSECTION:\n; EDNS: version 0; flags: do; udp: 1232$";
    for (pattern, which, target) in [
        ("EDNS", "some", &edns),
        (exact, "exact", &edns),
        (exact_do, "do", &edns_do),
    ] {
        for key in KINDS {
            let demand = format!("{address}, validate_additional_rrs: {{ {key}: ['{pattern}'] }}");
            add(leaked(format!("edns_{which}_{key}")), demand, target.clone());
        }
    }
    let tls = format!("{over_tcp}, dns_over_tls: true");
    let ours = format!("{tls}, tls_config: {{ ca_file: {} }}", ca.display());
    add("over_tls", ours.clone(), secure.address.to_string());
    add("over_tls_not_trusted", tls, secure.address.to_string());
    add("over_tls_without_tls", ours.clone(), knot.address.to_string());
    add("over_tls_refused", ours, refusing);
    for case in &mut cases {
        case.module = leaked(case.module.trim_matches('"').replace(' ', "%20"));
    }
    text.push('\n');
    compare_all(&text, &cases, DIFFERENCES).await;
}
