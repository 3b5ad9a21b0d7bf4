//! The query of the list of models: what is searched, and which part of the result is shown.

use std::collections::BTreeSet;

use url::form_urlencoded::Serializer;

use super::query::{parse, quote};
use crate::status::{FoundModels, ModelSearch};

/// The maximum number of models in one JSON response, and the default. A response with this many has about 250 kB.
const MAX_LIMIT: usize = 1000;

/// The number of models on one page.
const PAGE_LIMIT: usize = 100;

/// The longest text to search for, in characters: that of the form. Each word is searched in every model.
pub(super) const MAX_TEXT_CHARS: usize = 200;

/// The maximum number of names that an error message lists.
const MAX_LISTED: usize = 40;

/// A search, and the part of its result that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ModelQuery {
    /// What is searched.
    pub search: ModelSearch,
    /// How many models come before this part.
    pub offset: usize,
    /// The maximum number of models of this part.
    pub limit: usize,
}

impl ModelQuery {
    /// Parses the query of the JSON.
    ///
    /// # Errors
    /// The message of a 400.
    pub fn parse(query: Option<&str>) -> Result<Self, String> {
        let [provider, text, capability, offset, limit] =
            parse(query, ["provider", "q", "capability", "offset", "limit"])?;
        let limit = match limit {
            Some(limit) => parse_number("limit", &limit, 1, MAX_LIMIT)?,
            None => MAX_LIMIT,
        };
        Self::new(provider, text, capability, offset, limit)
    }

    /// Parses the query of the page. A form sends fields that are not filled in, too.
    ///
    /// # Errors
    /// The message of a 400.
    pub fn parse_page(query: Option<&str>) -> Result<Self, String> {
        let [provider, text, capability, offset] = parse(query, ["provider", "q", "capability", "offset"])?;
        Self::new(provider, text, capability, offset, PAGE_LIMIT)
    }

    fn new(
        provider: Option<String>,
        text: Option<String>,
        capability: Option<String>,
        offset: Option<String>,
        limit: usize,
    ) -> Result<Self, String> {
        let length = text.as_deref().map_or(0, |text| text.chars().count());
        if length > MAX_TEXT_CHARS {
            return Err(format!(
                "the query parameter q has {length} characters; supported: at most {MAX_TEXT_CHARS}"
            ));
        }
        let filled = |value: Option<String>| value.filter(|value| !value.trim().is_empty());
        Ok(Self {
            search: ModelSearch {
                provider: filled(provider),
                text: filled(text),
                capability: filled(capability),
            },
            offset: match offset {
                Some(offset) => parse_number("offset", &offset, 0, u32::MAX as usize)?,
                None => 0,
            },
            limit,
        })
    }

    /// Checks that the provider and the capability exist. A mistake is an error, so that it does not look as if there were no
    /// models.
    ///
    /// # Errors
    /// A message that lists the existing ones.
    pub fn check(&self, found: &FoundModels<'_>) -> Result<(), String> {
        check_known("provider", self.search.provider.as_deref(), &found.providers)?;
        check_known(
            "capability",
            self.search.capability.as_deref(),
            &found.capabilities,
        )
    }

    /// Returns the URL of the page that begins at `offset`.
    pub fn url_at(&self, offset: usize) -> String {
        let mut query = Serializer::new(String::new());
        for (name, value) in [
            ("q", &self.search.text),
            ("provider", &self.search.provider),
            ("capability", &self.search.capability),
        ] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        if offset > 0 {
            query.append_pair("offset", &offset.to_string());
        }
        match query.finish().as_str() {
            "" => "/models".to_owned(),
            query => format!("/models?{query}"),
        }
    }

    /// Returns the URL of the page with the models of one provider.
    pub fn url_of_provider(provider: &str) -> String {
        let search = ModelSearch {
            provider: Some(provider.to_owned()),
            ..ModelSearch::default()
        };
        let query = Self {
            search,
            offset: 0,
            limit: PAGE_LIMIT,
        };
        query.url_at(0)
    }
}

fn parse_number(name: &str, text: &str, min: usize, max: usize) -> Result<usize, String> {
    let number = text.parse().ok();
    number
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| {
            format!(
                "the query parameter {name} is {}; supported: numbers from {min} to {max}",
                quote(text)
            )
        })
}

fn check_known(what: &str, value: Option<&str>, known: &BTreeSet<&str>) -> Result<(), String> {
    let Some(value) = value.filter(|value| !known.contains(value)) else {
        return Ok(());
    };
    let mut listed: Vec<_> = known.iter().take(MAX_LISTED).map(|known| quote(known)).collect();
    if known.len() > listed.len() {
        listed.push("\u{2026}".to_owned());
    }
    let known = match listed.is_empty() {
        true => "no check has reported one yet".to_owned(),
        false => format!("known: {}", listed.join(", ")),
    };
    Err(format!("No models with the {what} {}; {known}", quote(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_parsed_and_written() {
        let query = ModelQuery::parse_page(Some("q=gpt+4&provider=openai&capability=&offset=100")).unwrap();
        assert_eq!(query.search.text.as_deref(), Some("gpt 4"));
        assert_eq!(query.search.capability, None, "a form sends empty fields");
        assert_eq!((query.offset, query.limit), (100, PAGE_LIMIT));
        assert_eq!(query.url_at(200), "/models?q=gpt+4&provider=openai&offset=200");
        assert_eq!(query.url_at(0), "/models?q=gpt+4&provider=openai");
        assert_eq!(ModelQuery::parse_page(None).unwrap().url_at(0), "/models");
        assert_eq!(ModelQuery::url_of_provider("a&b"), "/models?provider=a%26b");
        assert_eq!(ModelQuery::parse(Some("limit=7")).unwrap().limit, 7);
    }

    #[test]
    fn mistakes_are_errors() {
        for (query, part) in [
            ("x=y", "supported: provider, q, capability, offset, limit"),
            ("limit=0", "limit is \"0\"; supported: numbers from 1 to 1000"),
            ("limit=1001", "numbers from 1 to 1000"),
            ("offset=-1", "offset is \"-1\""),
            ("offset=99999999999999999999", "offset is"),
            ("q=a&q=b", "given twice"),
        ] {
            let message = ModelQuery::parse(Some(query)).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
        assert!(ModelQuery::parse_page(Some("limit=1")).is_err());
        for parse in [ModelQuery::parse, ModelQuery::parse_page] {
            assert!(parse(Some(&format!("q={}", "%C3%A9".repeat(200)))).is_ok());
            let message = parse(Some(&format!("q={}", "a+".repeat(1000)))).unwrap_err();
            assert!(
                message.contains("q has 2000 characters; supported: at most 200"),
                "{message}"
            );
        }
    }
}
