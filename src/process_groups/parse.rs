//! Parsers of the files of a process that only process groups read. See proc_pid_status(5), proc_pid_io(5),
//! proc_pid_smaps(5) and proc_pid_cgroup(5).

/// The used lines of a status file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The effective user.
    pub user: Option<u32>,
    /// Swapped memory in bytes. Kernel threads have none.
    pub swapped: u64,
    /// Context switches of the thread, because it waited.
    pub voluntary_switches: u64,
    /// Context switches of the thread, because others had to run.
    pub involuntary_switches: u64,
}

/// Parses a status file.
pub fn status(text: &[u8]) -> Status {
    let mut status = Status::default();
    for (name, value) in lines(text) {
        match name {
            b"Uid" => status.user = words(value).nth(1).and_then(number),
            b"VmSwap" => status.swapped = kibibytes(value),
            b"voluntary_ctxt_switches" => status.voluntary_switches = first(value),
            b"nonvoluntary_ctxt_switches" => status.involuntary_switches = first(value),
            _ => {}
        }
    }
    status
}

/// Parses the bytes that an io file says were read from and written to storage.
pub fn io(text: &[u8]) -> (u64, u64) {
    let mut found = (0, 0);
    for (name, value) in lines(text) {
        match name {
            b"read_bytes" => found.0 = first(value),
            b"write_bytes" => found.1 = first(value),
            _ => {}
        }
    }
    found
}

/// Parses the proportional resident and swapped memory of a smaps_rollup file, in bytes.
pub fn smaps(text: &[u8]) -> (u64, u64) {
    let mut found = (0, 0);
    for (name, value) in lines(text) {
        match name {
            b"Pss" => found.0 = kibibytes(value),
            b"SwapPss" => found.1 = kibibytes(value),
            _ => {}
        }
    }
    found
}

/// Parses the kernel function of a wchan file. It is `0` if the thread does not wait, or may not be read.
pub fn wait_channel(text: &[u8]) -> Option<String> {
    match text.trim_ascii() {
        b"" | b"0" => None,
        name => Some(String::from_utf8_lossy(name).into_owned()),
    }
}

/// Parses the paths of a cgroup file.
pub fn cgroups(text: &[u8]) -> Vec<String> {
    // Each line has the number of the hierarchy, its controllers and the path.
    let lines = text.split(|&byte| byte == b'\n');
    let paths = lines.filter_map(|line| line.splitn(3, |&byte| byte == b':').nth(2));
    paths
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .collect()
}

/// The lines of the form `name: value`.
fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|&byte| byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some((&line[..colon], &line[colon + 1..]))
    })
}

fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn first(value: &[u8]) -> u64 {
    words(value).next().and_then(number).unwrap_or(0)
}

fn kibibytes(value: &[u8]) -> u64 {
    first(value).saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_used_lines_are_found() {
        let text = b"Name:\tuid: 1\nUid:\t1\t33\t3\t4\nGroups:\t1 2 \nVmSwap:\t      12 kB\n\
            voluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t8\n";
        let expected = Status {
            user: Some(33),
            swapped: 12_288,
            voluntary_switches: 7,
            involuntary_switches: 8,
        };
        assert_eq!(status(text), expected);
        assert_eq!(
            io(b"rchar: 1\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 5\n"),
            (4096, 8192)
        );
        assert_eq!(
            smaps(b"0-1 ---p 0 0:0 0 [rollup]\nRss: 9 kB\nPss:  8 kB\nPss_Dirty: 1 kB\nSwapPss: 3 kB\n"),
            (8192, 3072)
        );
        assert_eq!(cgroups(b"1:name=systemd:/a:b\n0::/\n"), ["/a:b", "/"]);
        assert_eq!(wait_channel(b"do_wait"), Some("do_wait".to_owned()));
        assert_eq!((wait_channel(b"0"), wait_channel(b"")), (None, None));
    }

    #[test]
    fn the_files_of_the_running_kernel_are_parsed() {
        let read = |name: &str| std::fs::read(format!("/proc/self/{name}")).unwrap_or_default();
        let found = status(&read("status"));
        assert_eq!(found.user, Some(rustix::process::geteuid().as_raw()));
        assert!(
            found.voluntary_switches + found.involuntary_switches > 0,
            "{found:?}"
        );
        assert!(smaps(&read("smaps_rollup")).0 > 0);
        assert!(!cgroups(&read("cgroup")).is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            status(&bytes);
            io(&bytes);
            smaps(&bytes);
            cgroups(&bytes);
            wait_channel(&bytes);
        }
    }
}
