//! Words of the commands that findings advise.

/// Characters that have no meaning for a POSIX shell inside a word.
fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_-./:=@%+,".contains(character)
}

/// A word of a command, quoted if a POSIX shell would change it (POSIX.1-2024, "Quoting").
pub fn quote(word: &str) -> String {
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_each_word_as_it_was() {
        let words = ["x==1.2", "a b", "it's", "$(reboot)", "x>=1,<2", "", "\\", "x[y]"];
        let quoted = words.map(quote).join(" ");
        let output = std::process::Command::new("sh")
            .args(["-c", &format!("printf '%s\\n' {quoted}")])
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(printed, words.join("\n") + "\n");
        assert_eq!(quote("x==1.2"), "x==1.2");
    }
}
