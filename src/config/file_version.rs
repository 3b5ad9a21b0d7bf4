//! Detects that a file changed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The file system's data that change when a file's content does: device, inode, modification time and size. `None` if the
/// file does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileVersion(Option<(u64, u64, i64, i64, u64)>);

impl FileVersion {
    /// The current version. Symbolic links are followed: rotated secrets are often links to another directory.
    pub fn of(path: &Path) -> Self {
        let version = std::fs::metadata(path).map(|file| {
            (
                file.dev(),
                file.ino(),
                file.mtime(),
                file.mtime_nsec(),
                file.size(),
            )
        });
        Self(version.ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_has_another_version() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let absent = FileVersion::of(&path);
        std::fs::write(&path, "1").unwrap();
        let first = FileVersion::of(&path);
        assert_ne!(absent, first);
        assert_eq!(first, FileVersion::of(&path));
        let next = directory.path().join("next");
        std::fs::write(&next, "2").unwrap();
        std::fs::rename(&next, &path).unwrap();
        assert_ne!(first, FileVersion::of(&path));
    }
}
