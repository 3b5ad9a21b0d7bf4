//! `pyvenv.cfg`, the configuration of a virtual environment (PEP 405).

use std::path::PathBuf;

/// The facts in `pyvenv.cfg`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VenvConfig {
    /// The directory of the interpreter that it was made with.
    pub home: Option<PathBuf>,
    /// Whether the packages of that interpreter count as well.
    pub includes_system: bool,
    /// The version of Python when the environment was made.
    pub version: Option<String>,
    /// Whether uv made it.
    pub is_uv: bool,
}

impl VenvConfig {
    /// Parses the file. Lines that are not known are ignored.
    pub fn parse(text: &str) -> Self {
        let mut config = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "home" => config.home = Some(value.into()),
                "include-system-site-packages" => config.includes_system = value.eq_ignore_ascii_case("true"),
                // venv and uv; virtualenv writes version_info as 3.11.2.final.0 and its own version as version.
                "version_info" => config.version = full_version(value),
                "version" if config.version.is_none() => config.version = full_version(value),
                "uv" => config.is_uv = true,
                _ => {}
            }
        }
        config
    }

    /// Major and minor version.
    pub fn minor_version(&self) -> Option<String> {
        let version = self.version.as_deref()?;
        let end = version
            .match_indices('.')
            .nth(1)
            .map_or(version.len(), |(at, _)| at);
        Some(version[..end].to_owned())
    }
}

/// The version in the form that markers compare: `3.11.2`, `3.14.0rc1`.
fn full_version(value: &str) -> Option<String> {
    let mut parts = value.split('.');
    let (major, minor, patch) = (parts.next()?, parts.next()?, parts.next()?);
    let stage = match (parts.next(), parts.next()) {
        (Some("alpha"), Some(serial)) => format!("a{serial}"),
        (Some("beta"), Some(serial)) => format!("b{serial}"),
        (Some("candidate"), Some(serial)) => format!("rc{serial}"),
        _ => String::new(),
    };
    let version = format!("{major}.{minor}.{patch}{stage}");
    let is_version = is_minor(&format!("{major}.{minor}")) && version.parse::<pep440_rs::Version>().is_ok();
    is_version.then_some(version)
}

/// Whether a text is a version such as `3.11`.
pub fn is_minor(version: &str) -> bool {
    let is_number =
        |text: &str| !text.is_empty() && text.len() < 4 && text.bytes().all(|b| b.is_ascii_digit());
    version
        .split_once('.')
        .is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_configuration_of_an_environment_is_read() {
        let venv =
            VenvConfig::parse("home = /usr/bin\ninclude-system-site-packages = TRUE\nversion = 3.11.2\n");
        assert_eq!(
            (venv.home.as_deref(), venv.includes_system),
            (Some(Path::new("/usr/bin")), true)
        );
        assert_eq!(venv.minor_version().as_deref(), Some("3.11"));
        let uv = VenvConfig::parse(
            "home = /usr/bin\nimplementation = CPython\nuv = 0.9.1\nversion_info = 3.12.4\n",
        );
        assert_eq!((uv.version.as_deref(), uv.is_uv), (Some("3.12.4"), true));
        let virtualenv = VenvConfig::parse("version_info = 3.14.0.candidate.2\nversion = 20.1.0\n");
        assert_eq!(virtualenv.version.as_deref(), Some("3.14.0rc2"));
        assert_eq!(VenvConfig::parse("version = x\n\u{0}").version, None);
    }
}
