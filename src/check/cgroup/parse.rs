//! Parses the files of control groups. Pure.

use super::path::GroupPath;

/// From this value on, a limit of cgroup v1 means that there is none. The kernel's value is 2^63 - 1, rounded down to a whole page.
const NO_LIMIT: u64 = 1 << 62;

/// A single number, such as `memory.current`.
pub fn number(text: &str) -> Option<u64> {
    text.trim_end().parse().ok()
}

/// A limit: a number, or `max` if there is none.
pub fn limit(text: &str) -> Option<u64> {
    number(text).filter(|limit| *limit < NO_LIMIT)
}

/// The value of a key in lines of `KEY VALUE`, such as `memory.stat`.
pub fn value(text: &str, key: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines
        .find(|(name, _)| *name == key)
        .and_then(|(_, value)| number(value))
}

/// The bytes read and written according to `io.stat`: `8:0 rbytes=1 wbytes=2 rios=3 ...`, one line per device.
pub fn io_stat(text: &str) -> (u64, u64) {
    let sum = |key: &str| {
        let fields = text.split_ascii_whitespace();
        let values = fields.filter_map(|field| field.strip_prefix(key)?.strip_prefix('='));
        values.filter_map(number).fold(0, u64::saturating_add)
    };
    (sum("rbytes"), sum("wbytes"))
}

/// The bytes read and written according to `blkio.throttle.io_service_bytes`: `8:0 Read 1`, one line per device and operation, and a
/// total.
pub fn io_service_bytes(text: &str) -> (u64, u64) {
    let sum = |operation: &str| {
        let lines = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let values = lines.filter_map(|fields| match fields[..] {
            [_, name, bytes] if name == operation => number(bytes),
            _ => None,
        });
        values.fold(0, u64::saturating_add)
    };
    (sum("Read"), sum("Write"))
}

/// The group of a process, from `/proc/PID/cgroup`: the part of its path up to the component that contains `id`. The lines are
/// `HIERARCHY:CONTROLLERS:PATH`.
pub fn path_in_proc(text: &str, id: &str) -> Option<GroupPath> {
    let mut paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    paths.find_map(|path| GroupPath::parse(path)?.up_to(id))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_kernels_files_are_parsed() {
        assert_eq!(number("4096\n"), Some(4096));
        assert_eq!(number("max\n"), None);
        assert_eq!(limit("max\n"), None);
        assert_eq!(limit("9223372036854771712\n"), None);
        assert_eq!(limit("0\n"), Some(0));
        let stat = "anon 1\nfile 2\ninactive_file 12\ntotal_inactive_file 30\n";
        assert_eq!(value(stat, "inactive_file"), Some(12));
        assert_eq!(value(stat, "total_inactive_file"), Some(30));
        assert_eq!(value(stat, "inactive"), None);
        let events = "low 0\nhigh 3\nmax 17\noom 2\noom_kill 1\noom_group_kill 0\n";
        assert_eq!(value(events, "oom_kill"), Some(1));
        let io = "8:16 rbytes=100 wbytes=20 rios=3 wios=4 dbytes=9 dios=1\n254:0 rbytes=5 wbytes=6 rios=1 wios=1\n7:0 \n";
        assert_eq!(io_stat(io), (105, 26));
        let blkio =
            "8:0 Read 10\n8:0 Write 20\n8:0 Sync 30\n8:0 Total 30\n8:16 Read 1\n8:16 Write 2\nTotal 33\n";
        assert_eq!(io_service_bytes(blkio), (11, 22));
        assert_eq!(io_service_bytes("Total 0\n"), (0, 0));
    }

    #[test]
    fn the_group_of_a_container_is_found_in_both_versions() {
        let id = "4f66ad9a0b2e";
        let of = |text: &str| path_in_proc(text, id);
        let path = |text: &str| GroupPath::parse(text);
        assert_eq!(
            of("0::/system.slice/docker-4f66ad9a0b2e.scope\n"),
            path("/system.slice/docker-4f66ad9a0b2e.scope")
        );
        let old = "9:name=systemd:/\n4:memory:/docker/4f66ad9a0b2e/nested\n1:cpu,cpuacct:/docker/4f66ad9a0b2e\n0::/\n";
        assert_eq!(of(old), path("/docker/4f66ad9a0b2e"));
        // Another process with this number, and a path seen from another cgroup namespace.
        assert_eq!(of("0::/system.slice/nginx.service\n"), None);
        assert_eq!(of("0::/../docker-4f66ad9a0b2e.scope\n"), None);
        assert_eq!(of(""), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9a-z:= \n./]{0,200}") {
            let _ = (number(&text), limit(&text), value(&text, "a"), io_stat(&text), io_service_bytes(&text));
            let _ = path_in_proc(&text, "a");
        }
    }
}
