//! Certificates and keys in the web configuration, or in files that it references.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::place::{Invalid, Place};
use crate::config::regular_file::FileError;
use crate::config::tls::PemError;

/// Reads the files that a web configuration references.
pub struct Files<'a> {
    directory: &'a Path,
    read: &'a dyn Fn(&Path) -> Result<Vec<u8>, FileError>,
}

impl<'a> Files<'a> {
    /// Creates a reader. Paths are relative to `directory`; `read` reads a file.
    pub fn new(directory: &'a Path, read: &'a dyn Fn(&Path) -> Result<Vec<u8>, FileError>) -> Self {
        Self { directory, read }
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, PemError> {
        let path = self.directory.join(path);
        (self.read)(&path).map_err(|cause| PemError::File { path, cause })
    }
}

/// A text in PEM format.
pub(super) struct Pem {
    /// The configuration key.
    key: String,
    /// The name for messages.
    name: String,
    bytes: Vec<u8>,
}

impl Pem {
    /// Loads the text from the key `name` or `name_file`; `None` without either.
    pub fn load(
        place: &Place<'_>,
        name: &str,
        inline: Option<String>,
        file: Option<String>,
        files: &Files<'_>,
    ) -> Result<Option<Self>, Invalid> {
        // As in Prometheus' exporter-toolkit, an empty text counts as absent.
        let non_empty = |text: Option<String>| text.filter(|text| !text.is_empty());
        match (non_empty(inline), non_empty(file)) {
            (None, None) => Ok(None),
            (Some(text), None) => Ok(Some(Self {
                key: name.to_owned(),
                name: "the text".to_owned(),
                bytes: text.into_bytes(),
            })),
            (None, Some(path)) => {
                let key = format!("{name}_file");
                match files.read(Path::new(&path)) {
                    Ok(bytes) => Ok(Some(Self {
                        key,
                        name: files.directory.join(path).display().to_string(),
                        bytes,
                    })),
                    Err(error) => Err(place.field(&key).error(error)),
                }
            }
            (Some(_), Some(_)) => Err(place.error(format_args!(
                "{name} and {name}_file can't be used together: remove one of them"
            ))),
        }
    }

    /// Returns the place of the configuration key.
    pub fn place<'a>(&self, place: &Place<'a>) -> Place<'a> {
        place.field(&self.key)
    }

    /// Parses the certificates, at least one.
    pub fn parse_certificates(&self, place: &Place<'_>) -> Result<Vec<CertificateDer<'static>>, Invalid> {
        match CertificateDer::pem_slice_iter(&self.bytes).collect::<Result<Vec<_>, _>>() {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            _ => Err(self
                .place(place)
                .error(PemError::NoCertificate(self.name.clone()))),
        }
    }

    /// Parses the certificates of authorities.
    pub fn parse_authorities(&self, place: &Place<'_>) -> Result<RootCertStore, Invalid> {
        let mut roots = RootCertStore::empty();
        for certificate in self.parse_certificates(place)? {
            if let Err(error) = roots.add(certificate) {
                return Err(self.place(place).error(format_args!(
                    "contains a certificate that can't be an authority: {error}"
                )));
            }
        }
        Ok(roots)
    }

    /// Parses the private key.
    pub fn parse_private_key(&self, place: &Place<'_>) -> Result<PrivateKeyDer<'static>, Invalid> {
        PrivateKeyDer::from_pem_slice(&self.bytes).map_err(|_| self.place(place).error(PemError::NoKey))
    }
}
