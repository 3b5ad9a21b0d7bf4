//! Verifies the certificates of servers, and records when they expire.

mod authorities;
mod recorder;
mod trust;
mod validity;

pub(super) use self::authorities::Authorities;
pub use self::recorder::CertificateRecorder;
pub use self::trust::{SystemTrust, Trust};
pub use self::validity::{CERTIFICATE_NOT_AFTER, CERTIFICATE_NOT_BEFORE, Validity};
