//! The metric families of provider checks.

use crate::model::{Family, MetricType, Scope, Unit};
use crate::net::certificates::{CERTIFICATE_NOT_AFTER, CERTIFICATE_NOT_BEFORE};

/// Whether the key is valid.
pub static KEY_VALID: Family = Family::gauge(
    "upkeep_provider_key_valid",
    &[],
    "1 if the provider accepts the API key, 0 if it rejects it. Absent if no response has proven either.",
);

/// What the last run found.
pub static STATE: Family = Family::gauge(
    "upkeep_provider_state",
    &["state"],
    "1 for what the last run found, 0 for the other states.",
);

/// Listed models.
pub static MODELS: Family = Family::gauge(
    "upkeep_provider_models",
    &[],
    "Models in the last list of the provider.",
);

/// Missing models.
pub static EXPECTED_MODELS_MISSING: Family = Family::gauge(
    "upkeep_provider_expected_models_missing",
    &[],
    "Expected models that the last list of the provider does not have. Absent if none are configured.",
);

/// The end of a model.
pub static MODEL_SHUTDOWN: Family = Family::gauge(
    "upkeep_provider_model_shutdown_timestamp_seconds",
    &["model"],
    "Unix time at which the model ends, from the provider or from model_dates. With expected_models, only for these models.",
)
.in_unit(Unit::Seconds);

/// Changes of the list.
pub static MODEL_CHANGES: Family = Family {
    name: "upkeep_provider_model_changes_total",
    metric_type: MetricType::Counter,
    unit: Unit::None,
    scope: Scope::Check,
    labels: &["change"],
    help: "Models that the provider added to its list or removed from it.",
};

/// Remaining requests.
pub static REMAINING_REQUESTS: Family = Family::gauge(
    "upkeep_provider_remaining_requests",
    &[],
    "Requests that the provider still allows in the current window. Absent if it does not say.",
);

/// Remaining tokens.
pub static REMAINING_TOKENS: Family = Family::gauge(
    "upkeep_provider_remaining_tokens",
    &[],
    "Tokens that the provider still allows in the current window. Absent if it does not say.",
);

/// Remaining credits.
pub static REMAINING_CREDITS: Family = Family::gauge(
    "upkeep_provider_remaining_credits",
    &[],
    "Credits that the key may still spend, in US dollars. Absent if it has no limit or the provider does not say.",
);

/// The time of the last answer.
pub static LAST_RESPONSE: Family = Family::gauge(
    "upkeep_provider_last_response_timestamp_seconds",
    &[],
    "Unix time at which the provider last said whether it accepts the key.",
)
.in_unit(Unit::Seconds);

/// The families of provider checks.
pub const FAMILIES: &[&Family] = &[
    &KEY_VALID,
    &STATE,
    &MODELS,
    &EXPECTED_MODELS_MISSING,
    &MODEL_SHUTDOWN,
    &MODEL_CHANGES,
    &REMAINING_REQUESTS,
    &REMAINING_TOKENS,
    &REMAINING_CREDITS,
    &LAST_RESPONSE,
    &CERTIFICATE_NOT_AFTER,
    &CERTIFICATE_NOT_BEFORE,
];
