//! Tests of whole configuration files: what valid files load to, and the messages of invalid ones.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "config/any_input.rs"]
mod any_input;
#[path = "config/bad.rs"]
mod bad;
#[path = "config/beyond_schema.rs"]
mod beyond_schema;
#[path = "config/chatstack.rs"]
mod chatstack;
#[path = "config/chatstack_format.rs"]
mod chatstack_format;
#[path = "config/expensive_files.rs"]
mod expensive_files;
#[path = "config/limits.rs"]
mod limits;
#[path = "config/platform.rs"]
mod platform;
#[path = "config/schema.rs"]
mod schema;
#[path = "config/schema_agreement.rs"]
mod schema_agreement;
#[path = "common/schema_keys.rs"]
mod schema_keys;
#[path = "config/secrets.rs"]
mod secrets;
#[path = "config/settings.rs"]
mod settings;
#[path = "config/shipped.rs"]
mod shipped;
#[path = "config/short_form.rs"]
mod short_form;
#[path = "config/slo.rs"]
mod slo;
#[path = "config/turned_off.rs"]
mod turned_off;
#[path = "config/validate.rs"]
mod validate;
