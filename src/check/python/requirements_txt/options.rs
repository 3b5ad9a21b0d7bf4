//! Options of requirement files, and the words of a line.

/// Options with a value that do not change what is required.
pub const IGNORED_WITH_VALUE: &[&str] = &[
    "-i",
    "--index-url",
    "--pypi-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "--no-binary",
    "--only-binary",
    "--trusted-host",
    "--use-feature",
    "--hash",
    "-C",
    "--config-setting",
    "--config-settings",
    "--global-option",
    "--install-option",
];
/// Options without a value that do not change what is required.
pub const IGNORED: &[&str] = &[
    "--no-index",
    "--prefer-binary",
    "--require-hashes",
    "--pre",
    "-Z",
    "--always-unzip",
];
/// Splits `--option=value` and `-ovalue`.
pub fn split_option(word: &str) -> (&str, Option<&str>) {
    if word.starts_with("--") {
        return word
            .split_once('=')
            .map_or((word, None), |(option, value)| (option, Some(value)));
    }
    match word.char_indices().nth(2) {
        Some((at, _)) => (&word[..at], Some(&word[at..])),
        None => (word, None),
    }
}

/// Splits words as a shell does: quotes and backslashes.
///
/// # Errors
/// If a quote is not closed.
pub fn split_words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            (end, Some(start)) if end == start => quote = None,
            (other, Some('\'')) => word.get_or_insert_default().push(other),
            ('\\', _) => word.get_or_insert_default().extend(characters.next()),
            (other, Some(_)) => word.get_or_insert_default().push(other),
            (start @ ('"' | '\''), None) => {
                quote = Some(start);
                word.get_or_insert_default();
            }
            (space, None) if space.is_whitespace() => words.extend(word.take()),
            (other, None) => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    match quote {
        Some(_) => Err("a quote is not closed".to_owned()),
        None => Ok(words),
    }
}
