//! Tests of the parsers.

use proptest::prelude::*;

use super::*;

/// A line as the kernel writes it, with a name that imitates the following fields.
const LINE: &[u8] =
    b"42 (a) Z 1 (\n\xff) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 9 9 20 0 7 0 117115 3133440 378 \
18446744073709551615 1 1 1 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 1 1 1 1 1 1 1 0\n";

#[test]
fn parses_the_fields_after_any_name() {
    let expected = Stat {
        name: b"a) Z 1 (\n\xff",
        state: b'S',
        is_kernel_thread: false,
        parent: 1,
        minor_faults: 100,
        major_faults: 0,
        user_ticks: 250,
        system_ticks: 50,
        threads: 7,
        start_ticks: 117_115,
        virtual_bytes: 3_133_440,
        resident_pages: 378,
    };
    assert_eq!(Stat::parse(LINE), Some(expected));
    assert_eq!(expected.cpu_ticks(), 300);
}

#[test]
fn parses_parent_and_session() {
    assert_eq!(parent_and_session(LINE), Some((1, 42)));
    let text = std::fs::read("/proc/self/stat").unwrap();
    let parent = std::os::unix::process::parent_id();
    let found = parent_and_session(&text).map(|found| found.0);
    assert_eq!(found, i32::try_from(parent).ok());
    for text in ["", "1 (a)", "1 (a) S", "1 (a) S x 1 1", "1 (a) S 1 1"] {
        assert_eq!(parent_and_session(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn counts_pid_namespaces_and_lists_children() {
    assert_eq!(
        count_pid_namespaces(b"Name:\ta\nNStgid:\t7\t1\nNSpid:\t7\t1\nx"),
        Some(2)
    );
    assert_eq!(count_pid_namespaces(b"NSpid:\t7"), Some(1));
    assert_eq!(count_pid_namespaces(b"Name:\tNSpid: 1\n"), None);
    assert_eq!(ids(b"12 13  x 014 15 ").collect::<Vec<_>>(), [12, 13, 15]);
}

#[test]
fn parses_the_stat_file_of_the_running_kernel() {
    let text = std::fs::read("/proc/self/stat").unwrap();
    let stat = Stat::parse(&text).unwrap();
    assert!(stat.threads >= 2, "the test's thread and the first one: {stat:?}");
    assert!(stat.resident_pages > 0 && stat.start_ticks > 0);
    assert!(!stat.is_kernel_thread && !stat.is_ended());
}

#[test]
fn recognizes_kernel_threads_by_their_flag() {
    let text = std::fs::read("/proc/2/stat").unwrap_or_default();
    match Stat::parse(&text) {
        // A private pid namespace has none.
        Some(stat) if stat.name == b"kthreadd" => assert!(stat.is_kernel_thread),
        _ => {
            let line = b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 3 0 0 20 0 1 0 4 0 0 1";
            assert!(Stat::parse(line).unwrap().is_kernel_thread);
        }
    }
}

#[test]
fn rejects_truncated_text() {
    let resident_ends = LINE.windows(4).position(|window| window == b" 378").unwrap() + 2;
    for length in 0..resident_ends {
        assert_eq!(Stat::parse(&LINE[..length]), None, "{length} bytes");
    }
}

#[test]
fn a_process_whose_first_thread_ended_is_not_a_zombie_while_others_run() {
    let line = |threads: u32| format!("7 (x) Z 1 7 7 0 -1 0 0 0 0 0 1 1 0 0 20 0 {threads} 0 5 0 0 1");
    assert!(!Stat::parse(line(1).as_bytes()).unwrap().lives_in_other_threads());
    assert!(Stat::parse(line(2).as_bytes()).unwrap().lives_in_other_threads());
}

#[test]
fn parses_the_soft_limit() {
    let text = b"Limit                     Soft Limit           Hard Limit           Units\n\
        Max processes             96365                96365                processes\n\
        Max open files            1024                 524288               files\n";
    assert_eq!(max_open_files(text), Some(SoftLimit::Value(1024)));
    assert_eq!(
        max_open_files(b"Max open files            unlimited            unlimited            files"),
        Some(SoftLimit::Unlimited)
    );
    assert_eq!(max_open_files(b"Max open files"), None);
    assert_eq!(max_open_files(b""), None);
    assert!(SoftLimit::Value(u64::MAX) < SoftLimit::Unlimited);
}

#[test]
fn joins_arguments_with_spaces() {
    let mut text = *b"python\0-m\0\0app\0\0\0";
    let length = join_arguments(&mut text);
    assert_eq!(&text[..length], b"python -m  app");
    assert_eq!(join_arguments(&mut [0; 3]), 0);
}

#[test]
fn only_plain_numbers_are_process_ids() {
    assert_eq!(process_id(b"1"), Some(1));
    assert_eq!(process_id(b"4194304"), Some(4_194_304));
    for name in [
        &b""[..],
        b"0",
        b"01",
        b"-1",
        b"+1",
        b"self",
        b"1a",
        b"99999999999",
        b"\xb2",
        b".",
    ] {
        assert_eq!(process_id(name), None, "{}", name.escape_ascii());
    }
}

proptest! {
    #[test]
    fn no_parser_panics_on_arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Stat::parse(&bytes);
        let _ = max_open_files(&bytes);
        let _ = process_id(&bytes);
        let mut copy = bytes.clone();
        prop_assert!(join_arguments(&mut copy) <= bytes.len());
    }

    #[test]
    fn no_parser_panics_on_almost_valid_text(
        text in "[0-9]{0,3} ?[(]?[a-z) (]{0,6}[)]? ?[A-Z]?( -?[0-9]{1,22}){0,30}",
        limit in "Max open files *[0-9a-z]{0,25}[ \n]?[0-9]*"
    ) {
        let _ = Stat::parse(text.as_bytes());
        let _ = max_open_files(limit.as_bytes());
    }

    #[test]
    fn parses_any_name(name in proptest::collection::vec(1_u8.., 0..16)) {
        let mut line = b"1 (".to_vec();
        line.extend_from_slice(&name);
        line.extend_from_slice(b") R 0 0 0 0 0 0 0 0 0 0 3 4 0 0 20 0 1 0 9 0 5");
        let stat = Stat::parse(&line).unwrap();
        prop_assert_eq!(stat.name, &name[..]);
        prop_assert_eq!((stat.cpu_ticks(), stat.start_ticks, stat.resident_pages), (7, 9, 5));
    }
}
