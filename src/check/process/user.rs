//! Resolves user names to ids.

use crate::model::{Problem, Reason};
use crate::net::shortage;

/// Where users are listed. Users from elsewhere (a directory service, systemd's dynamic users) need a numeric id: the C
/// library's plug-ins for their names can block on the network.
const PASSWD: &str = "/etc/passwd";

/// Looks up the id of the user called `name` in /etc/passwd.
///
/// # Errors
/// If the file can't be read or does not contain the user.
pub async fn resolve(name: &str) -> Result<u32, Problem> {
    match tokio::fs::read(PASSWD).await {
        Ok(text) => find(&text, name).ok_or_else(|| {
            let message =
                format!("no user {name} in {PASSWD}; set the numeric id of a user that is defined elsewhere");
            Problem::new(Reason::Missing, message)
        }),
        Err(error) => Err(shortage::problem(
            Reason::Permission,
            &error,
            format_args!(
                "reading {PASSWD} to find the user {name}: {error}; make it readable, or set the numeric id"
            ),
        )),
    }
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
