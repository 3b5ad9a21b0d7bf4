//! Resolves `requires` and `any_of`: how many checks of a service must work.

use std::sync::Arc;

use super::options::RequiresWord;
use super::place::{Invalid, Place};
use super::settings::CheckSettings;
use crate::model::Severity;

/// Returns how many critical checks must work; `None` for all of them. `checks` are those of the service at `place`; `None` if they are
/// invalid.
pub fn resolve(
    requires: Option<RequiresWord>,
    any_of: Option<u32>,
    checks: Option<&[Arc<CheckSettings>]>,
    place: &Place<'_>,
) -> Result<Option<usize>, Invalid> {
    let (key, count) = match (requires, any_of) {
        (Some(_), Some(_)) => {
            let place = place.field("requires");
            return Err(place.error_at_key("requires and any_of exclude each other: remove one of them"));
        }
        (Some(RequiresWord::Any), None) => ("requires", 1),
        (None, Some(count)) => ("any_of", count as usize),
        (Some(RequiresWord::All) | None, None) => return Ok(None),
    };
    let place = place.field(key);
    if count == 0 {
        return Err(place.error("0 is out of range: write how many checks must work, at least 1"));
    }
    let Some(checks) = checks else {
        return Ok(Some(count));
    };
    let critical = checks
        .iter()
        .filter(|check| check.severity == Severity::Critical)
        .count();
    if count > critical {
        return Err(place.error(format_args!(
            "more than the service's checks of severity critical ({critical}): write a smaller number, or add checks"
        )));
    }
    if count == critical {
        match critical {
            1 => place.warn(
                "no effect: the service has one check of severity critical; add checks or remove this key",
            ),
            _ => place.warn(format_args!(
                "no effect: all {critical} checks of severity critical must work; add checks or remove this key"
            )),
        }
    }
    Ok(Some(count))
}
