//! How a command ended, as the supervisor reports it to the exporter: one line of text.

use std::fmt;

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit status.
    Exited(i32),
    /// Killed by this signal.
    Killed(i32),
    /// It was not started, because of this error of the operating system.
    NotStarted(i32),
}

impl Ended {
    /// The line that [`Ended::parse`] reads.
    pub fn line(&self) -> String {
        match self {
            Self::Exited(code) => format!("exited {code}\n"),
            Self::Killed(signal) => format!("killed {signal}\n"),
            Self::NotStarted(errno) => format!("not-started {errno}\n"),
        }
    }

    /// Reads a line of the supervisor. `None` if it is incomplete.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
        let (word, number) = line.split_once(' ')?;
        let number = number.parse().ok()?;
        match word {
            "exited" => Some(Self::Exited(number)),
            "killed" => Some(Self::Killed(number)),
            "not-started" => Some(Self::NotStarted(number)),
            _ => None,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit status {code}"),
            Self::Killed(signal) => write!(f, "killed by signal {signal}"),
            Self::NotStarted(errno) => write!(f, "{}", std::io::Error::from_raw_os_error(*errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        for ended in [
            Ended::Exited(0),
            Ended::Exited(3),
            Ended::Killed(9),
            Ended::NotStarted(13),
        ] {
            assert_eq!(Ended::parse(ended.line().as_bytes()), Some(ended));
        }
        for incomplete in ["", "exited", "exited 1", "exited \n", "died 1\n"] {
            assert_eq!(Ended::parse(incomplete.as_bytes()), None, "{incomplete:?}");
        }
    }
}
