//! Detects that a file changed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The file system's data that change when a file's content does, or who may read it: device, inode, times of the last modification and
/// the last change of the inode, and size. `None` if the file does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileVersion(Option<(u64, u64, [i64; 4], u64)>);

impl FileVersion {
    /// The current version. Symbolic links are followed: rotated secrets are often links to another directory.
    pub fn of(path: &Path) -> Self {
        let version = std::fs::metadata(path).map(|file| {
            (
                file.dev(),
                file.ino(),
                [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()],
                file.size(),
            )
        });
        Self(version.ok())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

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

    #[test]
    fn a_file_with_other_permissions_has_another_version() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "1").unwrap();
        let first = FileVersion::of(&path);
        // Times of files have the resolution of the kernel's tick.
        std::thread::sleep(std::time::Duration::from_millis(50));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_ne!(first, FileVersion::of(&path));
    }
}
