//! Noticing that a file changed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What tells one content of a file from another without reading it; absent where there is no such file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(Option<(u64, u64, i64, i64, u64)>);

impl Stamp {
    /// The file as it is now, symbolic links followed (rotated secrets are often links to another directory).
    pub fn of(path: &Path) -> Self {
        let stamp = std::fs::metadata(path).map(|file| {
            (
                file.dev(),
                file.ino(),
                file.mtime(),
                file.mtime_nsec(),
                file.size(),
            )
        });
        Self(stamp.ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_another_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let absent = Stamp::of(&path);
        std::fs::write(&path, "1").unwrap();
        let first = Stamp::of(&path);
        assert_ne!(absent, first);
        assert_eq!(first, Stamp::of(&path));
        let next = directory.path().join("next");
        std::fs::write(&next, "2").unwrap();
        std::fs::rename(&next, &path).unwrap();
        assert_ne!(first, Stamp::of(&path));
    }
}
