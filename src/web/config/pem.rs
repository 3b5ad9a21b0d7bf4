//! Certificates and keys that the web configuration holds or names.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::place::{Invalid, Place};
use crate::config::regular_file::FileError;
use crate::config::tls::PemError;

/// Reads the files that a web configuration names.
pub struct Files<'a> {
    directory: &'a Path,
    read: &'a dyn Fn(&Path) -> Result<Vec<u8>, FileError>,
}

impl<'a> Files<'a> {
    /// Paths are relative to `directory`; `read` reads a file.
    pub fn new(directory: &'a Path, read: &'a dyn Fn(&Path) -> Result<Vec<u8>, FileError>) -> Self {
        Self { directory, read }
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, PemError> {
        let path = self.directory.join(path);
        (self.read)(&path).map_err(|cause| PemError::File { path, cause })
    }
}

/// A text in PEM format, read.
pub(super) struct Pem {
    /// The key that it is written at.
    key: String,
    /// What it is, for messages.
    name: String,
    bytes: Vec<u8>,
}

impl Pem {
    /// The text given by one of the keys `name` and `name_file`; `None` without either.
    pub fn from_keys(
        place: &Place<'_>,
        name: &str,
        inline: Option<String>,
        file: Option<String>,
        files: &Files<'_>,
    ) -> Result<Option<Self>, Invalid> {
        // The toolkit takes an empty text for none.
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        match (given(inline), given(file)) {
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
            (Some(_), Some(_)) => {
                Err(place.error(format_args!("give one of {name} and {name}_file, not both")))
            }
        }
    }

    /// Where it stands.
    pub fn place<'a>(&self, place: &Place<'a>) -> Place<'a> {
        place.field(&self.key)
    }

    /// The certificates, at least one.
    pub fn certificates(&self, place: &Place<'_>) -> Result<Vec<CertificateDer<'static>>, Invalid> {
        match CertificateDer::pem_slice_iter(&self.bytes).collect::<Result<Vec<_>, _>>() {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            _ => Err(self
                .place(place)
                .error(PemError::NoCertificate(self.name.clone()))),
        }
    }

    /// The certificates as authorities.
    pub fn authorities(&self, place: &Place<'_>) -> Result<RootCertStore, Invalid> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates(place)? {
            if let Err(error) = roots.add(certificate) {
                return Err(self
                    .place(place)
                    .error(format_args!("a certificate can't be an authority: {error}")));
            }
        }
        Ok(roots)
    }

    /// The private key.
    pub fn private_key(&self, place: &Place<'_>) -> Result<PrivateKeyDer<'static>, Invalid> {
        PrivateKeyDer::from_pem_slice(&self.bytes).map_err(|_| self.place(place).error(PemError::NoKey))
    }
}
