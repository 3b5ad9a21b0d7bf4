//! The configuration as its authors see it: files load to what they say, and faulty ones are told all that is wrong.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "config/bad.rs"]
mod bad;
#[path = "config/chatstack.rs"]
mod chatstack;
#[path = "config/limits.rs"]
mod limits;
#[path = "config/meaning.rs"]
mod meaning;
#[path = "config/old_form.rs"]
mod old_form;
#[path = "config/schema.rs"]
mod schema;
#[path = "config/secrets.rs"]
mod secrets;
#[path = "config/shipped.rs"]
mod shipped;
#[path = "config/validate.rs"]
mod validate;
