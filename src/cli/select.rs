//! Selects the services that are named on the command line.

use crate::config::Config;
use crate::config::suggest::unknown;

/// Which services, each a key and a name, are named in `words`. All if there are no words.
///
/// # Errors
/// When a word is not a service; with suggestions.
pub fn select<'s>(
    services: impl Iterator<Item = (&'s str, &'s str)> + Clone,
    words: &[String],
) -> Result<Vec<bool>, String> {
    let matches =
        |word: &str, key: &str, name: &str| word == key || word.to_lowercase() == name.to_lowercase();
    let errors: Vec<String> = words
        .iter()
        .filter(|word| !services.clone().any(|(key, name)| matches(word, key, name)))
        .map(|word| unknown("service", word, services.clone().map(|(key, _)| key)))
        .collect();
    if !errors.is_empty() {
        return Err(errors.join("\n"));
    }
    Ok(services
        .map(|(key, name)| words.is_empty() || words.iter().any(|word| matches(word, key, name)))
        .collect())
}

/// Removes the services that are not named in `words`.
///
/// # Errors
/// See [`select`].
pub fn retain_selected(config: &mut Config, words: &[String]) -> Result<(), String> {
    let named = config
        .services
        .iter()
        .map(|service| (service.key.as_str(), service.name.as_str()));
    let mut selected = select(named, words)?.into_iter();
    config.services.retain(|_| selected.next().unwrap_or_default());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICES: [(&str, &str); 3] = [("web", "Web shop"), ("db", "PostgreSQL"), ("queue", "RabbitMQ")];

    fn select_words(words: &[&str]) -> Result<Vec<bool>, String> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        select(SERVICES.into_iter(), &words)
    }

    #[test]
    fn services_are_selected_by_key_or_by_name() {
        assert_eq!(select_words(&[]), Ok(vec![true; 3]));
        assert_eq!(select_words(&["db", "web shop"]), Ok(vec![true, true, false]));
    }

    #[test]
    fn every_unknown_service_is_an_error_with_a_suggestion() {
        let error = select_words(&["qeue", "db", "xyz"]).unwrap_err();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines[0], "unknown service qeue: did you mean queue?");
        assert!(lines[1].starts_with("unknown service xyz: "), "{error}");
        assert!(lines[1].ends_with("db, queue, web"), "{error}");
    }
}
