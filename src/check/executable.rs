//! Compares the executables of processes with a configured path.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::host_reads::HostReads;
use crate::model::Problem;

/// The paths that /proc may show for the executable at `path`: the path itself, and the target if it is a symbolic link. A
/// removed executable can still be running. If the file system of the path hangs, only one thread does too.
///
/// # Errors
/// A shortage if no thread can be started.
pub async fn resolve(path: &Path, reads: &HostReads) -> Result<Vec<Vec<u8>>, Problem> {
    let mut paths = vec![path.as_os_str().as_bytes().to_vec()];
    if let Some(target) = reads.canonical(path).await? {
        paths.push(target.into_os_string().into_encoded_bytes());
    }
    Ok(paths)
}

/// Whether `link`, the target of an `exe` link in /proc, is one of `wanted`. The kernel appends " (deleted)" if an update has
/// replaced the file.
pub fn is_one_of(link: &[u8], wanted: &[Vec<u8>]) -> bool {
    let path = link.strip_suffix(b" (deleted)").unwrap_or(link);
    wanted.iter().any(|one| link == one || path == one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_executable_matches() {
        let wanted = [b"/bin/a".to_vec(), b"/bin/b (deleted)".to_vec()];
        for (link, expected) in [
            ("/bin/a", true),
            ("/bin/a (deleted)", true),
            ("/bin/b (deleted)", true),
            ("/bin/b", false),
            ("/bin/aa", false),
            ("", false),
        ] {
            assert_eq!(is_one_of(link.as_bytes(), &wanted), expected, "{link}");
        }
    }

    #[tokio::test]
    async fn links_are_followed() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/proc/self/status", &link).unwrap();
        let reads = HostReads::default();
        assert_eq!(resolve(&link, &reads).await.unwrap().len(), 2);
        let missing = resolve(Path::new("/no/such/file"), &reads).await.unwrap();
        assert_eq!(missing, [b"/no/such/file"]);
    }
}
