//! Writes a configuration file, completely or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes a file. An existing one is replaced only if `is_forced`.
///
/// # Errors
/// When it exists, or can't be written.
pub fn write_file(path: &Path, text: &str, is_forced: bool) -> io::Result<()> {
    if !is_forced {
        // Not even a file that appeared since the start is replaced.
        return File::create_new(path)?.write_all(text.as_bytes());
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.new", std::process::id()));
    // Not even a link that somebody else put there is followed.
    let written = File::create_new(&temporary)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&temporary, path));
    if written
        .as_ref()
        .is_err_and(|error| error.kind() != io::ErrorKind::AlreadyExists)
    {
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_only_replaced_by_force() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yml");
        write_file(&path, "first", false).unwrap();
        assert_eq!(
            write_file(&path, "second", false).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        write_file(&path, "second", true).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // A file of the user with a similar name stays.
        let other = dir.path().join("a.yml.new");
        fs::write(&other, "mine").unwrap();
        write_file(&path, "third", true).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
    }
}
