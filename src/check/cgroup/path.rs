//! The path of a control group below the root of its hierarchy, as a manager or the kernel reports it.

use std::ffi::CString;
use std::sync::Arc;

/// The maximum length of a path, in bytes. systemd's names have at most 255, and its slices nest a few levels deep.
const MAX_PATH: usize = 2048;

/// The maximum depth. Containers in a virtual machine's unit of a user's manager have about ten levels.
const MAX_DEPTH: usize = 64;

/// A valid path with at least one component. None of them is `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPath(Arc<[CString]>);

impl GroupPath {
    /// Parses an absolute path such as `/system.slice/nginx.service`. `None` if it is not valid, and for the root: what the root uses
    /// is what the whole machine uses.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('/')?;
        if rest.is_empty() || text.len() > MAX_PATH {
            return None;
        }
        let components = rest.split('/').map(|component| match component {
            "" | "." | ".." => None,
            name => CString::new(name).ok(),
        });
        let components: Vec<CString> = components.collect::<Option<_>>()?;
        (components.len() <= MAX_DEPTH).then(|| Self(components.into()))
    }

    /// Its components.
    pub fn components(&self) -> &[CString] {
        &self.0
    }

    /// The group that the first component with this text in its name ends, such as that of a container with its id.
    pub fn up_to(&self, text: &str) -> Option<Self> {
        let contains = |name: &CString| name.to_str().is_ok_and(|name| name.contains(text));
        let position = self.0.iter().position(contains)?;
        Some(Self(self.0[..=position].into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_stay_below_the_root_are_valid() {
        for valid in [
            "/a",
            "/system.slice/nginx.service",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-a\\x2db@1.service",
            "/..a/.b",
        ] {
            assert!(GroupPath::parse(valid).is_some(), "{valid}");
        }
        let deep = "/a".repeat(MAX_DEPTH + 1);
        let long = format!("/{}", "a".repeat(MAX_PATH));
        for invalid in [
            "", "/", "a", "a/b", "/..", "/../a", "/a/../b", "/a/..", "/./a", "/a//b", "/a/", "//", "/a\0b",
            &deep, &long,
        ] {
            assert_eq!(GroupPath::parse(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn a_group_is_found_by_a_part_of_its_name() {
        let path = GroupPath::parse("/machine.slice/libpod-4f66.scope/container").unwrap();
        assert_eq!(
            path.up_to("4f66"),
            GroupPath::parse("/machine.slice/libpod-4f66.scope")
        );
        assert_eq!(path.up_to("4f67"), None);
    }
}
