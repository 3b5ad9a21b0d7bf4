//! Finds the arguments of a program that are secrets, by the option before them. They are visible to all users of the machine while the
//! program runs, but a program that repeats them must not make the exporter publish them.

use super::super::secret::Secret;

/// Parts of the names of options whose values are secrets.
const SECRET_WORDS: [&str; 8] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "apikey",
    "api-key",
];
/// Short options that many plugins use for a password. Values that are numbers or paths are not secrets: -p is also a port or a path.
const PASSWORD_OPTIONS: [&str; 2] = ["-p", "-P"];
/// Options for `USER:PASSWORD`.
const LOGIN_OPTIONS: [&str; 4] = ["-a", "--authorization", "-b", "--proxy-authorization"];

/// The secrets in arguments.
pub fn secrets(arguments: &[String]) -> Vec<Secret> {
    let mut secrets = Vec::new();
    let mut option = "";
    for argument in arguments {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) if is_option(name) => (name, value),
            _ => (option, argument.as_str()),
        };
        if let Some(secret) = secret_value(name, value) {
            secrets.push(Secret::new(secret));
        }
        secrets.extend(url_password(argument).map(Secret::new));
        // The value of --name=value is known.
        option = match is_option(argument) && !argument.contains('=') {
            true => argument,
            false => "",
        };
    }
    secrets
}

fn is_option(argument: &str) -> bool {
    argument.starts_with('-')
}

/// The secret in the value of an option.
fn secret_value<'a>(option: &str, value: &'a str) -> Option<&'a str> {
    let name = option.to_ascii_lowercase().replace('_', "-");
    if value.is_empty() || !is_option(option) {
        return None;
    }
    if SECRET_WORDS.iter().any(|word| name.contains(word)) {
        return Some(value);
    }
    if LOGIN_OPTIONS.contains(&option) {
        return value.split_once(':').map(|(_, password)| password);
    }
    let is_password =
        PASSWORD_OPTIONS.contains(&option) && value.parse::<f64>().is_err() && !value.starts_with('/');
    is_password.then_some(value)
}

/// The password in a URL.
fn url_password(argument: &str) -> Option<&str> {
    let (_, rest) = argument.split_once("://")?;
    let (login, _) = rest.split(['/', '?', '#']).next()?.rsplit_once('@')?;
    let (_, password) = login.split_once(':')?;
    (!password.is_empty()).then_some(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_by_their_options() {
        let found = |line: &str| -> Vec<String> {
            let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let found = secrets(&arguments);
            found.iter().map(|secret| secret.unhidden().to_owned()).collect()
        };
        for (line, expected) in [
            ("-H db --password hunter2", &["hunter2"][..]),
            ("--api_key=abc=d --db-passwd x", &["abc=d", "x"]),
            ("-p hunter2 -P swordfish", &["hunter2", "swordfish"]),
            ("-p 5432 -p /var/lib -w 5,4,3 -H 10.0.0.1", &[]),
            ("-a me:hunter2 -a process", &["hunter2"]),
            ("http://me:hunter2@host/a http://host/@a:b@c", &["hunter2"]),
            ("--password -H host token=x", &["-H"]),
            ("", &[]),
        ] {
            assert_eq!(found(line), expected, "{line}");
        }
    }
}
