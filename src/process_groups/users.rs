//! The names of users, for one scan.

use std::collections::HashMap;

use crate::check::user;

/// The users in /etc/passwd, read once when the first name is needed.
#[derive(Debug, Default)]
pub struct Users(Option<HashMap<u32, String>>);

impl Users {
    /// The name of a user, or the number if /etc/passwd does not contain it.
    pub fn name(&mut self, id: u32) -> String {
        let users = self.0.get_or_insert_with(user::names);
        users.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }
}
