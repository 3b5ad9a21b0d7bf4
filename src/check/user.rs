//! Resolves names of users to ids, and ids to names.

use std::collections::HashMap;
use std::io::Read;

use tokio::io::AsyncReadExt;

use crate::model::{Problem, Reason};
use crate::net::shortage;

/// Where users are listed. Users from elsewhere (a directory service, systemd's dynamic users) need a numeric id: the C
/// library's plug-ins for their names can block on the network.
const PASSWD: &str = "/etc/passwd";

/// How much of /etc/passwd is read to show the name of a user: some 100,000 users.
const MAX_PASSWD_BYTES: u64 = 8 * 1024 * 1024;

/// Looks up the id of the user called `name` in /etc/passwd.
///
/// # Errors
/// If the file can't be read or does not contain the user.
pub async fn resolve(name: &str) -> Result<u32, Problem> {
    let text = read_passwd(name).await?;
    find(&text, name).ok_or_else(|| missing(name))
}

async fn read_passwd(user: &str) -> Result<Vec<u8>, Problem> {
    tokio::fs::read(PASSWD).await.map_err(|error| {
        let message = format_args!(
            "reading {PASSWD} to find the user {user}: {error}; make it readable, or set the numeric id"
        );
        let reason = match error.kind() {
            std::io::ErrorKind::NotFound => Reason::Missing,
            _ => Reason::Permission,
        };
        shortage::problem(reason, &error, message)
    })
}

fn missing(name: &str) -> Problem {
    let message =
        format!("no user {name} in {PASSWD}; set the numeric id of a user that is defined elsewhere");
    Problem::new(Reason::Missing, message)
}

/// Looks up the ids of the user called `name`, and of its group, in /etc/passwd.
///
/// # Errors
/// As for [`resolve`].
pub async fn resolve_with_group(name: &str) -> Result<(u32, u32), Problem> {
    let text = read_passwd(name).await?;
    find_ids(&text, |found, _| found == name.as_bytes()).ok_or_else(|| missing(name))
}

/// The group of the user with this id in /etc/passwd. `None` if the file does not contain the user.
///
/// # Errors
/// If the file exists, but can't be read: then the group is not known.
pub async fn group_of(id: u32) -> Result<Option<u32>, Problem> {
    let text = match read_passwd(&id.to_string()).await {
        Err(problem) if problem.reason == Reason::Missing => return Ok(None),
        text => text?,
    };
    Ok(find_ids(&text, |_, found| found == id).map(|(_, group)| group))
}

/// The name of the user with this id in /etc/passwd, or else the number. Reads at most `MAX_PASSWD_BYTES`.
pub async fn name(id: u32) -> String {
    let mut text = Vec::new();
    if let Ok(file) = tokio::fs::File::open(PASSWD).await {
        // After an error, the name is looked up in the part that was read.
        let _ = file.take(MAX_PASSWD_BYTES).read_to_end(&mut text).await;
    }
    find_name(&text, id).unwrap_or_else(|| id.to_string())
}

/// The names of all users in /etc/passwd, by id; none if it can't be read. Reads at most `MAX_PASSWD_BYTES`. May block.
pub fn names() -> HashMap<u32, String> {
    let mut text = Vec::new();
    if let Ok(file) = std::fs::File::open(PASSWD) {
        // After an error, the names are those in the part that was read.
        let _ = file.take(MAX_PASSWD_BYTES).read_to_end(&mut text);
    }
    parse_names(&text)
}

/// The first name of every id in the text of a passwd(5) file.
fn parse_names(text: &[u8]) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in text.split(|&byte| byte == b'\n') {
        let mut fields = line.split(|&byte| byte == b':');
        let name = fields.next().filter(|name| !name.is_empty());
        let id = fields
            .nth(1)
            .and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
        if let (Some(name), Some(id)) = (name, id) {
            names
                .entry(id)
                .or_insert_with(|| String::from_utf8_lossy(name).into_owned());
        }
    }
    names
}

/// Finds the first name of an id in the text of a passwd(5) file.
fn find_name(text: &[u8], id: u32) -> Option<String> {
    text.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.split(|&byte| byte == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let found: u32 = std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()?;
        (found == id).then(|| String::from_utf8_lossy(name).into_owned())
    })
}

/// The ids of the first user in the text of a passwd(5) file whose name and id satisfy a condition, and of its group.
fn find_ids(text: &[u8], is_wanted: impl Fn(&[u8], u32) -> bool) -> Option<(u32, u32)> {
    text.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.split(|&byte| byte == b':');
        let name = fields.next()?;
        let mut fields = fields.skip(1);
        let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse::<u32>().ok();
        let id = number()?;
        is_wanted(name, id).then(number)?.map(|group| (id, group))
    })
}

/// Finds a name in the text of a passwd(5) file.
fn find(text: &[u8], name: &str) -> Option<u32> {
    text.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.split(|&byte| byte == b':');
        if fields.next()? != name.as_bytes() {
            return None;
        }
        std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_whole_names_only() {
        let text = b"root:x:0:0:root:/root:/bin/sh\nbad\nwww:x:\nwww-data:x:33:33::/:\n\xff:x:5:5::/:\nlast:x:70000:1::/:";
        assert_eq!(find(text, "root"), Some(0));
        assert_eq!(find(text, "www-data"), Some(33));
        assert_eq!(find(text, "last"), Some(70_000));
        assert_eq!(find(text, "www"), None);
        assert_eq!(find(text, "bad"), None);
        assert_eq!(find(text, ""), None);
        assert_eq!(find_name(text, 33).as_deref(), Some("www-data"));
        assert_eq!(find_name(text, 6), None);
        let names = parse_names(text);
        assert_eq!(names.get(&33).map(String::as_str), Some("www-data"));
        assert_eq!(names.len(), 4);
    }

    #[tokio::test]
    async fn ids_have_names_or_stay_numbers() {
        assert_eq!(name(0).await, "root");
        assert_eq!(name(3_999_999_999).await, "3999999999");
    }

    #[tokio::test]
    async fn the_group_of_a_user_is_found() {
        assert_eq!(resolve_with_group("root").await, Ok((0, 0)));
        assert_eq!(group_of(65534).await, Ok(Some(65534)));
        assert_eq!(group_of(3_999_999_999).await, Ok(None));
        // Two names with one id may have different groups.
        let text = b"a:x:7:8::/:\nb:x:7:9::/:";
        assert_eq!(find_ids(text, |name, _| name == b"b"), Some((7, 9)));
    }

    #[tokio::test]
    async fn an_unknown_user_is_missing() {
        assert_eq!(resolve("root").await, Ok(0));
        let problem = resolve("no-such-user").await.unwrap_err();
        assert_eq!(problem.reason, Reason::Missing);
        assert!(
            problem.message().contains("no user no-such-user in /etc/passwd"),
            "{problem}"
        );
    }
}
