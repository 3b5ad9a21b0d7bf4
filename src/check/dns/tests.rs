//! Tests of validators, and of messages that are not valid responses.

use std::net::Ipv4Addr;
use std::time::Duration;

use hickory_proto::op::{MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

use super::*;
use crate::config::KindSettings;
use crate::config::budget::Budget;
use crate::config::tests_support;
use crate::model::Reason;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn record(data: RData) -> Record {
    Record::from_rdata(name("example.org."), 300, data)
}

fn parsed(message: &Message) -> Response {
    Response::parse(&message.to_vec().unwrap()).unwrap()
}

fn settings(keys: &str) -> DnsSettings {
    let keys = format!("kind: dns, server: 127.0.0.1, query_name: example.org, {keys}");
    match tests_support::check(&keys).kind {
        KindSettings::Dns(settings) => Arc::unwrap_or_clone(settings),
        other => panic!("{other:?}"),
    }
}

/// The verdict on a response with A records that end in these bytes.
fn judged(validators: &str, last_bytes: &[u8]) -> Result<(), String> {
    let settings = settings(&format!("query_type: A, validate_answer_rrs: {{ {validators} }}"));
    let mut answer = Message::query();
    for last in last_bytes {
        answer.add_answer(record(RData::A(A(Ipv4Addr::new(192, 0, 2, *last)))));
    }
    judge::judge(&parsed(&answer), &settings.query, &Budget::ample())
        .unwrap()
        .map_err(|problem| {
            assert_eq!(problem.reason, Reason::Assertion);
            let message = problem.message().to_owned();
            message
                .trim_start_matches("example.org. A, answer section: ")
                .to_owned()
        })
}

#[test]
fn validators_mean_the_same_as_in_blackbox_exporter() {
    let shown = |last: u8| format!("\"example.org. 300 IN A 192.0.2.{last}\"");
    let matches = "fail_if_matches_regexp: ['[.]8$', '[.]9$']";
    assert_eq!(judged(matches, &[]), Ok(()));
    assert_eq!(judged(matches, &[1, 2]), Ok(()));
    let fault = format!("{} matches /[.]9$/ of fail_if_matches_regexp", shown(9));
    assert_eq!(judged(matches, &[1, 9]), Err(fault));

    let not = "fail_if_not_matches_regexp: ['^example', '\\tA\\t192[.]']";
    assert_eq!(judged(not, &[1, 2]), Ok(()));
    assert_eq!(
        judged(not, &[]),
        Err("there are no records, but fail_if_not_matches_regexp needs at least one".to_owned())
    );
    let fault = format!("{} does not match /1$/ of fail_if_not_matches_regexp", shown(2));
    assert_eq!(judged("fail_if_not_matches_regexp: ['1$']", &[1, 2]), Err(fault));

    let all = "fail_if_all_match_regexp: ['1$']";
    assert_eq!(judged(all, &[]), Ok(()));
    assert_eq!(judged(all, &[1, 11]), Ok(()));
    assert!(
        judged(all, &[1, 2])
            .unwrap_err()
            .contains("must match every record")
    );

    let none = "fail_if_none_matches_regexp: ['1$', '2$']";
    assert_eq!(judged(none, &[3, 2]), Ok(()));
    assert_eq!(
        judged(none, &[3]),
        Err("no record matches any of fail_if_none_matches_regexp".to_owned())
    );
    assert!(
        judged(none, &[])
            .unwrap_err()
            .contains("fail_if_none_matches_regexp needs")
    );
}

#[test]
fn the_response_code_is_judged_first_and_by_name() {
    let mut answer = Message::query();
    answer.metadata.response_code = ResponseCode::NXDomain;
    let problem = judge::judge(
        &parsed(&answer),
        &settings("query_type: TXT").query,
        &Budget::ample(),
    )
    .unwrap()
    .unwrap_err();
    assert_eq!(
        problem.to_string(),
        "status: example.org. TXT: the response code is NXDOMAIN, expected NOERROR"
    );
    let fine = settings("valid_rcodes: [NXDOMAIN, REFUSED]");
    assert_eq!(
        judge::judge(&parsed(&answer), &fine.query, &Budget::ample()).unwrap(),
        Ok(())
    );
    answer.metadata.response_code = ResponseCode::NoError;
    let problem = judge::judge(&parsed(&answer), &fine.query, &Budget::ample())
        .unwrap()
        .unwrap_err();
    assert!(
        problem
            .message()
            .ends_with("the response code is NOERROR, expected NXDOMAIN or REFUSED")
    );
}

/// Runs a check against a server that sends these datagrams, made from the query that it received.
async fn run_with(datagrams: impl Fn(&Message) -> Vec<Vec<u8>>) -> (Option<Result<(), Problem>>, Report) {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = server.local_addr().unwrap().to_string();
    let settings = settings("query_type: A").with_target(&target).unwrap();
    let mut check = DnsCheck::new(&settings, &CheckContext::new("/proc".into()));
    let mut report = Report {
        probe: Some(Vec::new()),
        ..Report::default()
    };
    let run = tokio::time::timeout(Duration::from_millis(400), check.run(&mut report));
    let serving = async {
        let mut question = [0; 512];
        let (length, client) = server.recv_from(&mut question).await.unwrap();
        for datagram in datagrams(&Message::from_vec(&question[..length]).unwrap()) {
            server.send_to(&datagram, client).await.unwrap();
        }
    };
    let (result, ()) = tokio::join!(run, serving);
    (result.ok(), report)
}

fn reply(question: &Message, change: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut answer = question.clone();
    answer.metadata.message_type = MessageType::Response;
    change(&mut answer);
    answer.to_vec().unwrap()
}

#[tokio::test]
async fn datagrams_that_do_not_match_the_query_are_ignored() {
    let others = |question: &Message| {
        vec![
            reply(question, |answer| answer.metadata.id ^= 1),
            reply(question, |answer| {
                answer.queries[0].set_name(name("other.example.org."));
            }),
            reply(question, |answer| {
                answer.queries[0].set_query_type(RecordType::AAAA);
            }),
            // Only errors may omit the query.
            reply(question, |answer| answer.queries.clear()),
            // The query itself is not a response.
            question.to_vec().unwrap(),
            b"\x00".to_vec(),
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        ]
    };
    let (result, report) = run_with(others).await;
    assert_eq!((result, report.response_time), (None, None));
    assert!(
        report
            .step
            .ends_with("7 received datagrams do not match the query"),
        "{}",
        report.step
    );
    let succeeded = |report: &Report| {
        let samples = report.probe.as_ref().unwrap();
        let succeeded = samples
            .iter()
            .find(|sample| sample.family.name == "probe_dns_query_succeeded");
        succeeded.unwrap().value
    };
    assert_eq!(succeeded(&report), 0.0);
    let fine = |question: &Message| {
        let mut datagrams = others(question);
        datagrams.push(reply(question, |answer| {
            answer.queries[0].set_name(name("EXAMPLE.org."));
        }));
        datagrams
    };
    let (result, report) = run_with(fine).await;
    assert_eq!(result, Some(Ok(())), "names are equal in any case");
    assert_eq!(succeeded(&report), 1.0);
}

#[tokio::test]
async fn an_error_may_omit_the_query() {
    let (result, _) = run_with(|question| {
        vec![reply(question, |answer| {
            answer.queries.clear();
            answer.metadata.response_code = ResponseCode::FormErr;
        })]
    })
    .await;
    assert_eq!(result.unwrap().unwrap_err().reason, Reason::Status);
}

#[tokio::test]
async fn garbage_with_the_right_id_is_a_failure() {
    let cut = |question: &Message| {
        let mut answer = reply(question, |answer| {
            answer.add_answer(record(RData::A(A::new(192, 0, 2, 1))));
        });
        answer.truncate(answer.len() - 2);
        vec![answer]
    };
    let short = |question: &Message| vec![reply(question, |_| {})[..6].to_vec()];
    // The header of the response to a query that the server does not want to answer.
    let refused = |question: &Message| {
        let answer = reply(question, |answer| {
            answer.metadata.response_code = ResponseCode::Refused;
        });
        vec![answer[..12].to_vec()]
    };
    let (result, _) = run_with(refused).await;
    assert_eq!(result.unwrap().unwrap_err().reason, Reason::Status);
    for result in [run_with(cut).await.0, run_with(short).await.0] {
        let problem = result.unwrap().unwrap_err();
        assert_eq!(problem.reason, Reason::Protocol);
        assert!(problem.message().contains("not a DNS message"), "{problem}");
    }
}

#[test]
fn numbers_count_pseudo_records_and_take_the_serial_of_a_zone() {
    let soa = |serial| {
        let data = SOA::new(name("a."), name("b."), serial, 1, 1, 1, 1);
        Record::from_rdata(name("example.org."), 1, RData::SOA(data))
    };
    let mut answer = Message::query();
    answer
        .add_answer(soa(7))
        .add_authority(soa(9))
        .set_edns(Default::default());
    let summary = Summary::new(&parsed(&answer), &settings("query_type: SOA").query);
    assert_eq!((summary.records, summary.serial), ([1, 1, 1], Some(7)));
    let other = Summary::new(&parsed(&answer), &settings("query_type: NS").query);
    assert_eq!(other.serial, None);
}
