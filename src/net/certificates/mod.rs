//! Verifies the certificates of servers, and records when they expire.

mod authorities;
mod recorder;
mod trust;

pub(super) use self::authorities::Authorities;
pub use self::recorder::{CERTIFICATE_NOT_AFTER, CertificateRecorder};
pub use self::trust::{SystemTrust, Trust};
