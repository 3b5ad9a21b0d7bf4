//! What a heartbeat says, and its path.

use std::str::FromStr;

/// The most bytes of a message that the exporter keeps.
pub const MAX_MESSAGE_BYTES: usize = 10_000;

/// The longest id of a run that the exporter accepts.
const MAX_RUN_ID_CHARS: usize = 64;

/// What a shell adds to the number of the signal that ended a process.
pub const SIGNAL_BASE: u8 = 128;

/// The names of signals that end processes, without "SIG", with their numbers on Linux (signal(7)). systemd sets `$EXIT_STATUS`
/// to such a name.
const SIGNALS: [(&str, u8); 18] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("SYS", 31),
];

/// What a heartbeat says about a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// It started.
    Start,
    /// It succeeded.
    Success,
    /// It failed.
    Fail,
    /// It ended with this exit status.
    Ended(ExitStatus),
}

/// An exit status. A signal n is 128 + n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitStatus(pub u8);

/// The id of one run of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunId(String);

impl Beat {
    /// The part of the path after the token.
    pub fn suffix(self) -> String {
        match self {
            Self::Start => "/start".to_owned(),
            Self::Success => String::new(),
            Self::Fail => "/fail".to_owned(),
            Self::Ended(ExitStatus(status)) => format!("/{status}"),
        }
    }
}

impl FromStr for ExitStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix("SIG").unwrap_or(text);
        let signal = SIGNALS.iter().find(|(known, _)| *known == name);
        signal
            .map(|(_, number)| SIGNAL_BASE + number)
            .or_else(|| text.parse().ok())
            .map(Self)
            .ok_or_else(|| "write a number from 0 to 255, or the name of a signal such as TERM".to_owned())
    }
}

impl RunId {
    /// A new random id.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        match text {
            "auto" => Ok(Self::random()),
            _ if (1..=MAX_RUN_ID_CHARS).contains(&text.len()) && text.bytes().all(is_valid) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(format!(
                "write 1 to {MAX_RUN_ID_CHARS} of the characters A-Z a-z 0-9 _ -, or auto for a random id"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_status_is_a_number_or_a_signal() {
        for (text, expected) in [("0", 0), ("255", 255), ("TERM", 143), ("SIGKILL", 137)] {
            assert_eq!(text.parse(), Ok(ExitStatus(expected)), "{text}");
        }
        for text in ["256", "-1", "", "term", "NOSUCH"] {
            let error = text.parse::<ExitStatus>().unwrap_err();
            assert!(error.contains("0 to 255"), "{text}");
        }
    }

    #[test]
    fn signals_have_the_numbers_of_this_system() {
        for (name, number) in SIGNALS {
            let shell = std::process::Command::new("sh")
                .args(["-c", "kill -l \"$1\"", "sh", &number.to_string()])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&shell.stdout).trim(), name);
        }
    }

    #[test]
    fn a_run_id_can_be_part_of_a_query() {
        assert_eq!("a-B_9".parse::<RunId>().unwrap().as_str(), "a-B_9");
        let (one, other): (RunId, RunId) = ("auto".parse().unwrap(), "auto".parse().unwrap());
        assert_ne!(one, other);
        assert!(one.as_str().parse::<RunId>().is_ok());
        for text in ["", "a b", "a&b", "ä", &"x".repeat(65)] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
    }
}
