//! The configuration of unix checks: the dialogue of a tcp check over a Unix socket. The options bear blackbox_exporter's
//! names and mean what they mean there.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::dialogue::{Conversation, StepOptions};
use super::place::{Invalid, Place};
use super::tls::TlsOptions;

/// The longest path of a socket (unix(7): sun_path has 108 bytes, the last of them 0).
const MAX_PATH_BYTES: usize = 107;

/// The options of a unix check, as written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UnixOptions {
    /// The socket: an absolute path.
    pub path: Option<String>,
    /// Do a TLS handshake after connecting.
    pub tls: bool,
    /// How TLS is done.
    pub tls_config: Option<TlsOptions>,
    /// What to say and what to hear, step by step.
    pub query_response: Option<Vec<StepOptions>>,
}

/// What a unix check needs, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct UnixSettings {
    /// The socket.
    pub path: Arc<PathBuf>,
    /// What is said and heard then, with or without TLS.
    pub conversation: Conversation,
}

impl UnixOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<UnixSettings, Invalid> {
        let path =
            match &self.path {
                Some(text) => socket(text).map_err(|wrong| place.field("path").error(wrong)),
                None => Err(place
                    .error("path is missing: write the path of a socket, such as path: /run/app/app.sock")),
            };
        let conversation = Conversation::resolve(place, self.query_response, self.tls, self.tls_config);
        let conversation = conversation.and_then(|conversation| {
            // A path is no name that a certificate could be for.
            match &conversation.tls {
                Some(tls) if tls.server_name.is_none() && !tls.insecure_skip_verify => {
                    Err(place.field("tls_config").error(
                        "a socket has no host name that the certificate could be for: set server_name, or \
                         insecure_skip_verify: true",
                    ))
                }
                _ => Ok(conversation),
            }
        });
        Ok(UnixSettings {
            path: path?,
            conversation: conversation?,
        })
    }
}

/// An absolute path, or `unix://` with one.
fn socket(text: &str) -> Result<Arc<PathBuf>, String> {
    let right = "write the absolute path of a socket, such as /run/app/app.sock";
    let path = text.strip_prefix("unix://").unwrap_or(text);
    // What looks like a URL may hold a password, which no message shows.
    let shown = match text.contains("://") || text.contains('@') {
        true => "this path".to_owned(),
        false => format!("\"{text}\""),
    };
    if !path.starts_with('/') {
        return Err(format!("{shown} is not absolute: {right}"));
    }
    if path.len() > MAX_PATH_BYTES {
        return Err(format!("{shown} is longer than {MAX_PATH_BYTES} bytes: {right}"));
    }
    if path.contains('\0') {
        return Err(format!("{shown} holds a NUL character: {right}"));
    }
    Ok(Arc::new(path.into()))
}

impl UnixSettings {
    /// The path.
    pub fn target(&self) -> String {
        self.path.display().to_string()
    }

    /// The same for another target, a path or `unix://` with one.
    ///
    /// # Errors
    /// What is wrong with the target, and what would be right.
    pub fn aimed_at(&self, target: &str) -> Result<Self, String> {
        Ok(Self {
            path: socket(target)?,
            conversation: self.conversation.clone(),
        })
    }
}

impl super::KindFacts for UnixSettings {}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::{Value, json};

    use super::*;

    fn resolve(json: Value) -> Result<UnixSettings, Vec<String>> {
        let findings = RefCell::default();
        let options: UnixOptions = serde_json::from_value(json).unwrap();
        options.resolve(&Place::root(&findings)).map_err(|Invalid| {
            let findings = findings.take();
            findings
                .iter()
                .map(|finding| format!("{}: {}", finding.path, finding.message))
                .collect()
        })
    }

    #[test]
    fn a_path_suffices_and_a_target_replaces_it() {
        let settings = resolve(json!({"path": "/run/a.sock"})).unwrap();
        assert_eq!(settings.target(), "/run/a.sock");
        for target in ["/run/b.sock", "unix:///run/b.sock"] {
            assert_eq!(settings.aimed_at(target).unwrap().target(), "/run/b.sock");
        }
        for (target, wrong) in [
            ("run/b.sock", "\"run/b.sock\" is not absolute"),
            ("unix://run", "this path is not absolute"),
            ("http://user:word@host/", "this path is not absolute"),
            ("", "\"\" is not absolute"),
            ("/a\0", "\"/a\0\" holds a NUL character"),
        ] {
            let error = settings.aimed_at(target).unwrap_err();
            let right = "write the absolute path of a socket, such as /run/app/app.sock";
            assert_eq!(error, format!("{wrong}: {right}"));
        }
        assert!(settings.aimed_at(&format!("/{}", "a".repeat(106))).is_ok());
        let long = settings.aimed_at(&format!("/{}", "a".repeat(107))).unwrap_err();
        assert!(long.contains("is longer than 107 bytes"), "{long}");
    }

    #[test]
    fn faults_are_told_at_once() {
        assert_eq!(
            resolve(json!({"tls": true})).unwrap_err(),
            [
                ": path is missing: write the path of a socket, such as path: /run/app/app.sock",
                "tls_config: a socket has no host name that the certificate could be for: set server_name, or \
                 insecure_skip_verify: true",
            ]
        );
        assert!(resolve(json!({"path": "/a", "tls": true, "tls_config": {"server_name": "a"}})).is_ok());
    }
}
