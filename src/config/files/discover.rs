//! Finds and reads the files of a configuration.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::memory::Memory;
use crate::config::load::MAX_FILE_BYTES;
use crate::config::regular_file;
use crate::model::visible;

/// The maximum number of files of a directory. Each file has a series, and every load reads all of them.
pub const MAX_FILES: usize = 1000;

/// The longest name of a file in messages and labels, in bytes: that of a path in Linux.
const MAX_NAME: usize = 4096;

/// A file of a configuration.
#[derive(Debug)]
pub struct FileText {
    /// The path.
    pub path: PathBuf,
    /// The path for people.
    pub name: Arc<str>,
    /// The content.
    pub text: Text,
}

/// The content of a file.
#[derive(Debug)]
pub enum Text {
    /// The bytes.
    Bytes(Arc<[u8]>),
    /// It, or a directory, can't be read. Contains the message.
    Unreadable(String),
    /// Its directory can't be read, so it may have changed or not.
    Unknown,
}

impl FileText {
    /// A file or a directory.
    pub fn new(path: PathBuf, text: Text) -> Self {
        let name = visible(&path.to_string_lossy(), MAX_NAME).into();
        Self { path, name, text }
    }
}

/// The files at a path of the user.
pub enum Found {
    /// The path is a file, or does not exist.
    File,
    /// The path is a directory with these files, by name.
    Directory(Vec<PathBuf>),
    /// The path is a directory that can't be read. Contains the message.
    Failed(String),
}

/// Finds the files at a path of the user.
pub fn find(path: &Path) -> Found {
    if !fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        return Found::File;
    }
    match list(path) {
        Ok(files) if files.len() > MAX_FILES => Found::Failed(format!(
            "the directory has more than {MAX_FILES} configuration files: combine some of them"
        )),
        Ok(files) => Found::Directory(files),
        Err(error) => Found::Failed(format!("reading the directory: {error}")),
    }
}

/// The configuration files in a directory, sorted by name. At most one more than [`MAX_FILES`].
fn list(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        // A broken link is a configuration file that can't be read. Subdirectories are ignored.
        if is_configuration(&path) && !path.is_dir() {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            break;
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a file in a directory is a configuration file, by its name. Hidden files and the backups of editors are not.
fn is_configuration(path: &Path) -> bool {
    let is_hidden = path
        .file_name()
        .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden
        && path
            .extension()
            .is_some_and(|extension| extension == "yml" || extension == "yaml")
}

/// Reads the files at `paths`. The files of a directory that can't be read are those in `memory`.
pub fn read(paths: &[PathBuf], memory: &Memory) -> Vec<FileText> {
    let mut reader = Reader {
        files: Vec::new(),
        bytes: 0,
    };
    for path in paths {
        match find(path) {
            Found::File => {
                // A directory that was removed is not a file that was removed: its files stay in use.
                reader.add_known(path, memory);
                reader.add(path.clone(), read_named);
            }
            Found::Directory(files) => {
                if files.is_empty() && paths.len() == 1 {
                    let message = "the directory has no configuration files (*.yml, *.yaml): add one";
                    reader.add_known(path, memory);
                    reader.push(path.clone(), Text::Unreadable(message.to_owned()));
                }
                for file in files {
                    reader.add(file, |file, max| {
                        regular_file::read(file, max).map_err(|error| error.to_string())
                    });
                }
            }
            Found::Failed(message) => {
                reader.add_known(path, memory);
                reader.push(path.clone(), Text::Unreadable(message));
            }
        }
    }
    reader.files
}

/// Reads a file that the user names. It may be a pipe, such as that of a shell's `<(...)`.
fn read_named(path: &Path, max_bytes: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(max_bytes + 1).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

struct Reader {
    files: Vec<FileText>,
    /// The length of all files so far.
    bytes: usize,
}

impl Reader {
    fn push(&mut self, path: PathBuf, text: Text) {
        // The same file may be named twice.
        if self.files.iter().all(|file| file.path != path) {
            self.files.push(FileText::new(path, text));
        }
    }

    fn add(&mut self, path: PathBuf, read: impl Fn(&Path, u64) -> Result<Vec<u8>, String>) {
        let text = match read(&path, MAX_FILE_BYTES as u64) {
            Ok(bytes) if self.bytes + bytes.len() > MAX_FILE_BYTES => {
                Text::Unreadable(self.too_long(bytes.len()))
            }
            Ok(bytes) => {
                self.bytes += bytes.len();
                Text::Bytes(bytes.into())
            }
            Err(error) => Text::Unreadable(format!("reading the configuration file: {error}")),
        };
        self.push(path, text);
    }

    /// The message for a file that exceeds the limit alone, or together with those before it.
    fn too_long(&self, bytes: usize) -> String {
        let max = MAX_FILE_BYTES / (1024 * 1024);
        if bytes > MAX_FILE_BYTES {
            format!("the file is longer than {max} MiB: split it")
        } else {
            format!("the files are longer than {max} MiB together: write less")
        }
    }

    /// Adds the files that were read from this directory before.
    fn add_known(&mut self, directory: &Path, memory: &Memory) {
        let known = memory
            .files
            .keys()
            .filter(|file| file.parent() == Some(directory));
        let mut known: Vec<&PathBuf> = known.collect();
        known.sort();
        for path in known {
            self.push(path.clone(), Text::Unknown);
        }
    }
}
