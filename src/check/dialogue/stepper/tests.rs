//! Tests of dialogues without a connection.

use proptest::prelude::*;

use super::*;
use crate::check::dialogue::fuzz_parse;
use crate::config::pattern::Pattern;
use crate::config::secret::SecretBytes;

fn expecting(pattern: &str) -> Step {
    Step {
        expect: Some(Expect::Line(Pattern::new(pattern).unwrap())),
        ..Step::default()
    }
}

fn answering(pattern: &str, send: &str) -> Step {
    Step {
        send: Some(SecretBytes::new(send)),
        ..expecting(pattern)
    }
}

/// What the steps send if the server sends these bytes at once and closes.
fn sent(steps: &[Step], server: &[u8]) -> Result<String, DialogueError> {
    let mut stepper = Stepper::new(&steps.to_vec().into(), Framing::Lines);
    let mut sent = String::new();
    stepper.receive(server);
    loop {
        match stepper.advance(&Budget::ample())? {
            Action::Read => stepper.close(),
            Action::Send(line) => sent += &String::from_utf8(line).unwrap(),
            Action::StartTls => sent += "<tls>",
            Action::Found(step, values) => sent += &format!("<{step}: {}>", values.join("|")),
            Action::End => return Ok(sent),
        }
    }
}

#[test]
fn lines_are_skipped_until_one_matches() {
    let steps = [
        answering("^220 (?P<host>\\S+)", "EHLO ${host}$$ ${1}x $1x${9}\r"),
        expecting("^250 "),
        Step {
            send: Some(SecretBytes::new("BYE ${1}")),
            starttls: true,
            ..Step::default()
        },
    ];
    let server = b"noise\r\n220 mail ready\r\n250-A\r\n250 B";
    assert_eq!(
        sent(&steps, server).unwrap(),
        "EHLO mail$ mailx \r\nBYE ${1}\n<tls>"
    );
}

#[test]
fn lines_are_matched_without_their_ends() {
    for server in [&b"abc\r\n"[..], b"abc\n", b"abc", b"abc\r"] {
        sent(&[expecting("^abc$")], server).unwrap();
    }
    sent(
        &[expecting("^$"), expecting("^\r$"), expecting("^x.$")],
        b"\n\r\r\nx\xff\n",
    )
    .unwrap();
}

#[test]
fn labels_are_found_before_the_line_is_sent() {
    let mut step = answering("^SSH-([0-9.]+)-(.*)$", "QUIT");
    step.labels = vec![
        ("version".to_owned(), "${1}".to_owned()),
        ("software".to_owned(), "is $2".to_owned()),
    ];
    let long = "é".repeat(200);
    let found = sent(&[step], format!("SSH-2.0-{long}\n").as_bytes()).unwrap();
    assert_eq!(found, format!("<0: 2.0|is {}>QUIT\n", "é".repeat(126)));
}

#[test]
fn bytes_must_be_equal_and_lines_continue_after_them() {
    let bytes = |text: &str| Step {
        expect: Some(Expect::Bytes(text.into())),
        ..Step::default()
    };
    let steps = [expecting("a"), bytes("S\n"), expecting("^b$")];
    sent(&steps, b"a\nS\nb\n").unwrap();
    let error = sent(&steps, b"a\nT").unwrap_err();
    assert_eq!(error.to_string(), "received \"T\" instead of \"S\\n\"");
    let error = sent(&steps, b"a\nS").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server closed the connection; waiting for \"S\\n\", received \"S\" without a line feed"
    );
}

#[test]
fn faults_contain_what_was_expected_and_received() {
    let steps = [answering("^220", "hunter2"), expecting("^250")];
    let error = sent(&steps, b"220\n500 hunter2?\n501 hunter2!\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "no line matched /^250/ before the server closed the connection: received 2 lines, the last was \"501 <sent>!\""
    );
    let error = sent(&steps, b"220\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server closed the connection; waiting for a line that matches /^250/, received nothing"
    );
    let mut stepper = Stepper::new(&steps.to_vec().into(), Framing::Lines);
    stepper.receive(b"22");
    assert!(stepper.advance(&Budget::ample()).unwrap() == Action::Read);
    assert_eq!(stepper.received(), "received \"22\" without a line feed");
    stepper.receive(b"1\n22");
    assert!(stepper.advance(&Budget::ample()).unwrap() == Action::Read);
    assert_eq!(stepper.received(), "received one line: \"221\"");
    assert_eq!(stepper.take_log(), ["received \"221\""]);
}

#[test]
fn lines_are_bounded_in_length_and_number() {
    let steps = [expecting("^x")];
    let long = "a".repeat(MAX_LINE_BYTES);
    sent(&steps, format!("{long}\nx").as_bytes()).unwrap();
    let error = sent(&steps, format!("{long}a\nx").as_bytes()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the server sent a line of more than 65536 bytes that begins with \"aaa"),
        "{error}"
    );
    let mut stepper = Stepper::new(&steps.to_vec().into(), Framing::Lines);
    stepper.receive(format!("{long}a").as_bytes());
    assert!(
        matches!(stepper.advance(&Budget::ample()), Err(DialogueError::TooMuch(_))),
        "also without its end"
    );
    sent(&steps, format!("{}x", "\n".repeat(MAX_LINES - 1)).as_bytes()).unwrap();
    let error = sent(&steps, format!("{}x", "\n".repeat(MAX_LINES)).as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "the server sent more than 10000 lines");
    let error = sent(&[answering(".*", "${0}${0}")], "a".repeat(40_000).as_bytes()).unwrap_err();
    assert_eq!(error, DialogueError::TooLong(MAX_SENT_BYTES));
}

#[test]
fn input_before_tls_is_discarded() {
    let steps = [
        Step {
            starttls: true,
            ..expecting("^220")
        },
        expecting("^250"),
    ];
    let mut stepper = Stepper::new(&steps.to_vec().into(), Framing::Lines);
    stepper.receive(b"220 go\r\n250 injected\r\n");
    assert!(stepper.advance(&Budget::ample()).unwrap() == Action::StartTls);
    assert_eq!(stepper.discard_input(), 14);
    assert!(stepper.advance(&Budget::ample()).unwrap() == Action::Read);
}

const TEXT: &str = "address: \"a:1\"\nquery_response: [{expect: '(\\w+) (.*)', send: '$2 ${1}', labels: [{name: a, \
                    value: $1}]}, {expect_bytes: ab}, {starttls: true}, {expect: '^c+$', send: d}]";

#[test]
fn fuzz_parse_uses_the_configuration_like_a_run() {
    assert_eq!(
        fuzz_parse(TEXT, b"x y\nab", false),
        Err(
            "the server closed the connection; waiting for a line that matches /^c+$/, received nothing"
                .to_owned()
        )
    );
    let steps = TEXT.replace("{starttls: true}", "{send: e}");
    assert_eq!(fuzz_parse(&steps, b"x y\nabccc", false).unwrap(), b"y x\ne\nd\n");
    let wrong = fuzz_parse("address: \"a:1\"\nquery_response: [{expect: '('}]", b"", false).unwrap_err();
    assert_eq!(wrong, "\"(\" is not a regular expression: unclosed group");
}

proptest! {
    #[test]
    fn no_server_causes_a_panic_or_an_endless_loop(server in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = fuzz_parse(TEXT, &server, false);
    }

    #[test]
    fn lines_may_be_cut_anywhere(server in "[a-c \r\n]{0,60}", cut in 0_usize..60) {
        let steps = [answering("(a+)b", "${1}"), expecting("^c? ?$"), answering("c", "x$0")];
        let whole = sent(&steps, server.as_bytes());
        let mut stepper = Stepper::new(&steps.to_vec().into(), Framing::Lines);
        let mut pieces = vec![&server.as_bytes()[cut.min(server.len())..], &server.as_bytes()[..cut.min(server.len())]];
        let mut text = String::new();
        let in_pieces = loop {
            match stepper.advance(&Budget::ample()) {
                Ok(Action::Read) => match pieces.pop() {
                    Some(piece) => stepper.receive(piece),
                    None => stepper.close(),
                },
                Ok(Action::Send(line)) => text += &String::from_utf8(line).unwrap(),
                Ok(Action::End) => break Ok(text),
                Ok(Action::StartTls | Action::Found(..)) => unreachable!(),
                Err(error) => break Err(error),
            }
        };
        prop_assert_eq!(in_pieces, whole);
    }
}

#[test]
fn an_expensive_line_is_evaluated_again_with_another_budget() {
    let steps = [expecting("^x.{0,900}y.{0,900}z"), expecting("^end$")];
    let mut stepper = Stepper::new(&steps.to_vec().into(), Framing::Lines);
    let expensive = format!("x{}", "xy ".repeat(20_000));
    stepper.receive(format!("one\ntwo\n{expensive}\nxyz\nend\n").as_bytes());
    let none = Budget::new(std::time::Duration::ZERO, std::sync::Arc::default());
    std::thread::sleep(std::time::Duration::from_millis(2));
    for _ in 0..3 {
        assert_eq!(
            stepper.advance(&none).err(),
            Some(DialogueError::BudgetExhausted(Exhausted))
        );
    }
    assert!(stepper.pending_bytes() > expensive.len());
    assert!(stepper.advance(&Budget::ample()).unwrap() == Action::End);
    assert_eq!(stepper.all_lines, 5);
    let log = stepper.take_log();
    assert_eq!((log.len(), log[0].as_str()), (5, "received \"one\""));
}

fn messages(steps: &[Step], server: &[&[u8]]) -> Result<String, DialogueError> {
    let mut stepper = Stepper::new(&steps.to_vec().into(), Framing::Messages);
    let (mut server, mut sent) = (server.iter(), String::new());
    loop {
        match stepper.advance(&Budget::ample())? {
            Action::Read => match server.next() {
                Some(message) => stepper.receive(message),
                None => stepper.close(),
            },
            Action::Send(text) => sent += &format!("<{}>", String::from_utf8_lossy(&text)),
            Action::StartTls | Action::Found(..) => panic!("not for messages"),
            Action::End => return Ok(sent),
        }
    }
}

#[test]
fn every_expectation_is_about_the_next_message() {
    let steps = [
        answering("(?s)^hello.*token=(\\d+)$", "again ${1}"),
        expecting("^$"),
        expecting("b$"),
    ];
    let server: [&[u8]; 3] = [b"hello\n\ntoken=17", b"", b"a\nb"];
    assert_eq!(messages(&steps, &server).unwrap(), "<again 17>");
    let error = messages(&steps, &[b"hello\ntoken=1", b"x", b""]).unwrap_err();
    assert_eq!(error.to_string(), "received \"x\", which does not match /^$/");
    let error = messages(&steps, &[b"hello\ntoken=1"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server closed the connection; waiting for a message that matches /^$/, received nothing"
    );
}
