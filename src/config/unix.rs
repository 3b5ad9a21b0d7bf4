//! The configuration of unix checks: the dialogue of a tcp check over a Unix socket. The options have the names and meanings of
//! blackbox_exporter's.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::dialogue::{Conversation, StepOptions};
use super::place::{Invalid, Place};
use super::tls::TlsOptions;

/// The longest path of a socket (unix(7): sun_path has 108 bytes, the last one 0).
const MAX_PATH_BYTES: usize = 107;

/// The options of a unix check.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UnixOptions {
    /// Absolute path of the socket.
    #[schemars(regex(pattern = "^/"))]
    pub path: Option<String>,
    /// Start TLS after connecting.
    pub tls: bool,
    /// TLS options.
    pub tls_config: Option<TlsOptions>,
    /// Steps of a dialogue with the server.
    pub query_response: Option<Vec<StepOptions>>,
}

/// The settings of a unix check.
#[derive(Clone, Debug, PartialEq)]
pub struct UnixSettings {
    /// The path of the socket.
    pub path: Arc<PathBuf>,
    /// The dialogue after connecting, with or without TLS.
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
            // A certificate can't be verified for a path.
            match &conversation.tls {
                Some(tls) if tls.server_name.is_none() && !tls.insecure_skip_verify => {
                    Err(place.field("tls_config").error(
                        "a Unix socket has no host name to verify the certificate with: set server_name, or \
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

/// Parses an absolute path, or `unix://` with one.
fn socket(text: &str) -> Result<Arc<PathBuf>, String> {
    let advice = "write the absolute path of a socket, such as /run/app/app.sock";
    let path = text.strip_prefix("unix://").unwrap_or(text);
    // A text that looks like a URL may contain a password, so it is not quoted.
    let shown = match text.contains("://") || text.contains('@') {
        true => "this path".to_owned(),
        false => format!("\"{text}\""),
    };
    if !path.starts_with('/') {
        return Err(format!("{shown} is not absolute: {advice}"));
    }
    if path.len() > MAX_PATH_BYTES {
        return Err(format!("{shown} is longer than {MAX_PATH_BYTES} bytes: {advice}"));
    }
    if path.contains('\0') {
        return Err(format!("{shown} contains a NUL character: {advice}"));
    }
    Ok(Arc::new(path.into()))
}

impl UnixSettings {
    /// The path.
    pub fn target(&self) -> String {
        self.path.display().to_string()
    }

    /// The same check of another target, a path or `unix://` with one.
    ///
    /// # Errors
    /// What is wrong with the target and what to write instead.
    pub fn with_target(&self, target: &str) -> Result<Self, String> {
        Ok(Self {
            path: socket(target)?,
            conversation: self.conversation.clone(),
        })
    }
}

impl super::KindFacts for UnixSettings {
    const SEES_CERTIFICATES: bool = true;
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::tests_support::resolve_json;

    fn resolve(json: Value) -> Result<UnixSettings, Vec<String>> {
        resolve_json(json, UnixOptions::resolve)
    }

    #[test]
    fn a_path_suffices_and_a_target_replaces_it() {
        let settings = resolve(json!({"path": "/run/a.sock"})).unwrap();
        assert_eq!(settings.target(), "/run/a.sock");
        for target in ["/run/b.sock", "unix:///run/b.sock"] {
            assert_eq!(settings.with_target(target).unwrap().target(), "/run/b.sock");
        }
        for (target, wrong) in [
            ("run/b.sock", "\"run/b.sock\" is not absolute"),
            ("unix://run", "this path is not absolute"),
            ("http://user:word@host/", "this path is not absolute"),
            ("", "\"\" is not absolute"),
            ("/a\0", "\"/a\0\" contains a NUL character"),
        ] {
            let error = settings.with_target(target).unwrap_err();
            let advice = "write the absolute path of a socket, such as /run/app/app.sock";
            assert_eq!(error, format!("{wrong}: {advice}"));
        }
        assert!(settings.with_target(&format!("/{}", "a".repeat(106))).is_ok());
        let long = settings
            .with_target(&format!("/{}", "a".repeat(107)))
            .unwrap_err();
        assert!(long.contains("is longer than 107 bytes"), "{long}");
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        assert_eq!(
            resolve(json!({"tls": true})).unwrap_err(),
            [
                ": path is missing: write the path of a socket, such as path: /run/app/app.sock",
                "tls_config: a Unix socket has no host name to verify the certificate with: set server_name, or \
                 insecure_skip_verify: true",
            ]
        );
        assert!(resolve(json!({"path": "/a", "tls": true, "tls_config": {"server_name": "a"}})).is_ok());
    }
}
