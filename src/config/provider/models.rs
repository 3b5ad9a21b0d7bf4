//! The models that a check expects, and the dates on which models end.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::api::ProviderApi;
use crate::config::place::{Invalid, Place};

/// The maximum number of expected models, and of dates. Services use a handful.
pub const MAX_EXPECTED: usize = 100;
/// The maximum number of expected models at Hugging Face, because each costs a request. 20 requests are 4 % of what a client without an
/// account may send in five minutes (<https://huggingface.co/docs/hub/rate-limits>).
pub const MAX_EXPECTED_BY_REQUEST: usize = 20;
/// The longest id of a model, in bytes.
const MAX_ID_BYTES: usize = 256;

/// Resolves `expected_models`.
pub(super) fn expected(
    models: Vec<String>,
    api: ProviderApi,
    place: &Place<'_>,
) -> Result<Vec<String>, Invalid> {
    let max = match api {
        ProviderApi::HuggingFace => MAX_EXPECTED_BY_REQUEST,
        _ => MAX_EXPECTED,
    };
    if models.len() > max {
        return Err(place.error(format_args!(
            "{} models, but a check can expect at most {max}: add another check for the rest",
            models.len()
        )));
    }
    let mut result = Ok(());
    for (index, id) in models.iter().enumerate() {
        let place = place.index(index);
        if !is_id(id) {
            result = Err(place.error(format_args!(
                "not the id of a model: write 1 to {MAX_ID_BYTES} printable characters without spaces"
            )));
        } else if api == ProviderApi::HuggingFace && !is_repository(id) {
            result = Err(place.error(format_args!(
                "\"{id}\" is not a model of the Hub: write owner/name, such as openai/gpt-oss-20b"
            )));
        } else if models[..index].contains(id) {
            result = Err(place.error(format_args!("duplicate model {id}: remove it")));
        }
    }
    result.map(|()| models)
}

/// Resolves `model_dates` to Unix times: the start of the day in UTC.
pub(super) fn dates(
    dates: BTreeMap<String, String>,
    place: &Place<'_>,
) -> Result<BTreeMap<String, i64>, Invalid> {
    if dates.len() > MAX_EXPECTED {
        return Err(place.error(format_args!(
            "{} dates, but a check can have at most {MAX_EXPECTED}: remove models that you do not use",
            dates.len()
        )));
    }
    let mut result = Ok(());
    let mut resolved = BTreeMap::new();
    for (id, text) in dates {
        let place = place.field(&id);
        let date = text.parse::<Date>().ok();
        match date.and_then(|date| date.to_zoned(TimeZone::UTC).ok()) {
            _ if !is_id(&id) => result = Err(place.error_at_key("not the id of a model")),
            Some(start) => {
                resolved.insert(id, start.timestamp().as_second());
            }
            None => result = Err(place.error("not a date: write year-month-day, such as 2027-01-31")),
        }
    }
    result.map(|()| resolved)
}

fn is_id(id: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&id.len())
        && !id.contains(|c: char| c.is_whitespace() || crate::model::is_invisible(c))
}

/// Whether it is `owner/name` with the characters that the Hub allows.
fn is_repository(id: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    id.split_once('/')
        .is_some_and(|(owner, name)| is_part(owner) && is_part(name))
}
