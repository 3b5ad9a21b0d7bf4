//! The path of the control socket: where the server creates it, and where commands look for it.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tracing::{info, warn};

use super::paths::first_directory;
use crate::control::{ClientError, Listener, Request, request};

/// The name of the socket in its directory.
const NAME: &str = "control.sock";

/// The runtime directory of a service that runs as root, and of the shipped systemd unit.
const SYSTEM_DIRECTORY: &str = "/run/upkeep_exporter";

/// The name of the directory below `$XDG_RUNTIME_DIR`.
const USER_DIRECTORY: &str = "upkeep_exporter";

/// The mode of a directory that the exporter creates for the socket.
const DIRECTORY_MODE: u32 = 0o755;

/// The path where the server creates the socket if no flag sets it. `None` if the user has no runtime directory.
fn server_path(variable: impl Fn(&str) -> Option<OsString>, is_root: bool) -> Option<PathBuf> {
    let directory = match runtime_directory(&variable) {
        Some(directory) => directory,
        None if is_root => SYSTEM_DIRECTORY.into(),
        None => user_directory(&variable)?,
    };
    Some(directory.join(NAME))
}

/// The paths where a command looks for the socket, in order.
fn client_paths(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let directories = [
        runtime_directory(&variable),
        Some(SYSTEM_DIRECTORY.into()),
        user_directory(&variable),
    ];
    directories
        .into_iter()
        .flatten()
        .map(|directory| directory.join(NAME))
        .collect()
}

fn runtime_directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    first_directory(&variable("RUNTIME_DIRECTORY")?)
}

fn user_directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let directory = PathBuf::from(variable("XDG_RUNTIME_DIR")?);
    directory.is_absolute().then(|| directory.join(USER_DIRECTORY))
}

/// Creates the socket at the path of the flag, or at the default path. Without the flag, a failure is only a warning. An empty path
/// disables the socket.
///
/// # Errors
/// If the socket can't be created at the path of the flag.
pub fn open(flag: Option<&Path>) -> anyhow::Result<Option<Listener>> {
    let path = match flag {
        Some(path) if path.as_os_str().is_empty() => return Ok(None),
        Some(path) => path.to_owned(),
        None => {
            let is_root = rustix::process::geteuid().is_root();
            let Some(path) = server_path(|name| std::env::var_os(name), is_root) else {
                info!("no control socket: the user has no runtime directory; set --control.socket");
                return Ok(None);
            };
            if let Some(directory) = path.parent() {
                // If this fails, binding reports it.
                let _ = DirBuilder::new()
                    .recursive(true)
                    .mode(DIRECTORY_MODE)
                    .create(directory);
            }
            path
        }
    };
    match Listener::bind(&path) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if flag.is_some() => Err(error).with_context(|| {
            format!(
                "creating the control socket {} (--control.socket)",
                path.display()
            )
        }),
        Err(error) => {
            let path = path.display();
            warn!(%path, %error, "creating the control socket failed; commands such as maintenance can't reach this exporter; set --control.socket");
            Ok(None)
        }
    }
}

/// Sends a request of a command to the exporter, at the path of the flag or the first default path that exists.
///
/// # Errors
/// If there is no exporter, or it rejects the request.
pub fn send(flag: Option<&Path>, message: &Request) -> Result<serde_json::Value, ClientError> {
    let path = match flag {
        Some(path) => path.to_owned(),
        None => {
            let paths = client_paths(|name| std::env::var_os(name));
            let existing = paths.iter().find(|path| path.symlink_metadata().is_ok());
            existing.or(paths.first()).cloned().unwrap_or_default()
        }
    };
    request(&path, message)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn variables(set: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        |name| {
            let found = set.iter().find(|(set, _)| *set == name);
            found.map(|(_, value)| OsStr::new(value).to_owned())
        }
    }

    #[test]
    fn the_server_prefers_the_directory_of_its_unit() {
        let both = &[
            ("RUNTIME_DIRECTORY", "/run/a:/run/b"),
            ("XDG_RUNTIME_DIR", "/run/user/7"),
        ];
        let user = &[("XDG_RUNTIME_DIR", "/run/user/7")];
        for (set, is_root, path) in [
            (&both[..], false, Some("/run/a/control.sock")),
            (both, true, Some("/run/a/control.sock")),
            (user, true, Some("/run/upkeep_exporter/control.sock")),
            (user, false, Some("/run/user/7/upkeep_exporter/control.sock")),
            (&[("XDG_RUNTIME_DIR", "relative")], false, None),
            (&[], false, None),
        ] {
            assert_eq!(server_path(variables(set), is_root), path.map(PathBuf::from));
        }
    }

    #[test]
    fn commands_look_at_every_default_path() {
        let paths = client_paths(variables(&[("XDG_RUNTIME_DIR", "/run/user/7")]));
        let expected = [
            "/run/upkeep_exporter/control.sock",
            "/run/user/7/upkeep_exporter/control.sock",
        ];
        assert_eq!(paths, expected.map(PathBuf::from));
    }
}
