//! Which services a command line means.

use crate::config::suggest::unknown;

/// Which of the services, each a key and a name, are asked for: all where none is.
///
/// # Errors
/// What is no service, and what may be meant.
pub fn chosen<'s>(
    services: impl Iterator<Item = (&'s str, &'s str)> + Clone,
    asked: &[String],
) -> Result<Vec<bool>, String> {
    let is_meant =
        |word: &str, key: &str, name: &str| word == key || word.to_lowercase() == name.to_lowercase();
    let unknown_ones: Vec<String> = asked
        .iter()
        .filter(|word| !services.clone().any(|(key, name)| is_meant(word, key, name)))
        .map(|word| unknown("service", word, services.clone().map(|(key, _)| key)))
        .collect();
    if !unknown_ones.is_empty() {
        return Err(unknown_ones.join("\n"));
    }
    Ok(services
        .map(|(key, name)| asked.is_empty() || asked.iter().any(|word| is_meant(word, key, name)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICES: [(&str, &str); 3] = [("web", "Web shop"), ("db", "PostgreSQL"), ("queue", "RabbitMQ")];

    fn choose(asked: &[&str]) -> Result<Vec<bool>, String> {
        let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
        chosen(SERVICES.into_iter(), &asked)
    }

    #[test]
    fn services_are_meant_by_key_or_by_name() {
        assert_eq!(choose(&[]), Ok(vec![true; 3]));
        assert_eq!(choose(&["db", "web shop"]), Ok(vec![true, true, false]));
    }

    #[test]
    fn every_unknown_one_is_told_with_what_may_be_meant() {
        assert_eq!(
            choose(&["qeue", "db", "xyz"]).unwrap_err(),
            "unknown service qeue: did you mean queue?\nunknown service xyz: write one of db, queue, web"
        );
    }
}
