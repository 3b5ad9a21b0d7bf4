//! The redis check.

// Until the check itself uses it.
#![allow(dead_code)]

pub(in crate::check) mod client;
mod fault;
pub(in crate::check) mod session;
