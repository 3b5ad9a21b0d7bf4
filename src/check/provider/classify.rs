//! Classifies failed requests: what each status, code and text of a provider's documentation says about the key. The table of documented
//! responses is in the tests.

#[cfg(test)]
mod tests;

use http::header;

use super::refusal::Refusal;
use crate::check::provider_results::KeyState;
use crate::config::provider::{ProviderApi, ProviderConnection};
use crate::model::{Problem, Reason};

/// What something says that is not a response of the provider's API, such as a page of HTML.
///
/// At the URL of a hosted provider, a proxy, a firewall or a login page between this machine and the provider responds instead. Like an
/// outage, this says nothing about the key or the configuration. At another URL, `base_url` is usually wrong.
pub fn other_response(connection: &ProviderConnection) -> KeyState {
    match connection.is_hosted() {
        true => KeyState::Unavailable,
        false => KeyState::Unexpected,
    }
}

/// What a response with an error status says.
pub fn classify_response(connection: &ProviderConnection, refusal: &Refusal<'_>) -> KeyState {
    // The page is not from the provider, so that its status is not either. Rate limits of content delivery networks are pages too.
    if refusal.is_page && connection.is_hosted() && refusal.status != 429 {
        return other_response(connection);
    }
    classify(connection.api, refusal)
}

/// What a problem with the connection says. Wrong certificates, protocols and sizes do not end by themselves, as an outage does.
pub fn classify_problem(connection: &ProviderConnection, problem: &Problem) -> KeyState {
    match problem.reason {
        Reason::Tls | Reason::Protocol => other_response(connection),
        Reason::Limit | Reason::Permission | Reason::Internal => KeyState::Unexpected,
        _ => KeyState::Unavailable,
    }
}

/// The reason of an error response.
pub const fn reason(state: KeyState) -> Reason {
    match state {
        KeyState::Invalid => Reason::Auth,
        KeyState::NoPermission => Reason::Permission,
        KeyState::QuotaSpent | KeyState::RateLimited => Reason::Limit,
        _ => Reason::Status,
    }
}

/// The meaning of an error response, for messages.
pub const fn meaning(state: KeyState) -> &'static str {
    match state {
        KeyState::Invalid => "the provider rejects the API key",
        KeyState::NoPermission => "the API key lacks permission",
        KeyState::QuotaSpent => "the credits or the spend limit of the account are used up",
        KeyState::RateLimited => "the provider limits the rate of requests",
        KeyState::Unavailable => "the provider has an outage",
        _ => "the response is unexpected",
    }
}

/// What an error response of a provider's API says.
pub fn classify(api: ProviderApi, refusal: &Refusal<'_>) -> KeyState {
    let own = match api {
        ProviderApi::OpenAi => openai(refusal),
        ProviderApi::Anthropic => anthropic(refusal),
        ProviderApi::Gemini => gemini(refusal),
        ProviderApi::Cohere => cohere(refusal),
        ProviderApi::OpenRouter => openrouter(refusal),
        ProviderApi::Vllm | ProviderApi::Compatible => compatible(refusal),
        ProviderApi::Mistral | ProviderApi::HuggingFace | ProviderApi::Ollama => None,
    };
    own.unwrap_or_else(|| by_status(refusal.status))
}

/// The usual meaning of a status (RFC 9110, section 15, and RFC 6585, section 4). 529 is the status of overload at Anthropic and
/// OpenRouter.
const fn by_status(status: u16) -> KeyState {
    match status {
        401 => KeyState::Invalid,
        402 => KeyState::QuotaSpent,
        403 => KeyState::NoPermission,
        429 => KeyState::RateLimited,
        408 | 500..=599 => KeyState::Unavailable,
        _ => KeyState::Unexpected,
    }
}

/// Words of OpenAI and of the servers that copy its errors.
const SPENT: &[&str] = &[
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_usage_limit_exceeded",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
];

/// The type may be `insufficient_quota` while the code has the cause, and the other way round (OpenAI, "Error codes").
fn openai(refusal: &Refusal<'_>) -> Option<KeyState> {
    if refusal.has_code(SPENT) {
        return Some(KeyState::QuotaSpent);
    }
    // These have status 401 too, although the key itself is known.
    let is_known = refusal.has_code(&[
        "invalid_organization",
        "mismatched_organization",
        "mismatched_project",
        "ip_not_authorized",
    ]) || refusal.says(&[
        "missing scopes",
        "insufficient permissions",
        "must be a member of an organization",
        "ip address is not authorized",
        "ip not authorized",
    ]);
    (refusal.status == 401 && is_known).then_some(KeyState::NoPermission)
}

/// A spend limit that the operator set has status 400 and no type of its own. The limit of a usage tier has status 429 and no `Retry-After`
/// (Claude API, "Errors" and "Rate limits").
fn anthropic(refusal: &Refusal<'_>) -> Option<KeyState> {
    let has_no_end = refusal.status == 429 && !refusal.headers.contains_key(header::RETRY_AFTER);
    let is_spent = refusal.has_code(&["billing_error", "enforced_spend_limit_reached"])
        || (matches!(refusal.status, 400 | 403 | 429)
            && refusal.says(&["api usage limits", "credit balance is too low"]))
        || (has_no_end && refusal.says(&["spend limit", "spend cap", "spending limit"]));
    if is_spent {
        return Some(KeyState::QuotaSpent);
    }
    match () {
        () if refusal.has_code(&["overloaded_error", "timeout_error"]) => Some(KeyState::Unavailable),
        () if refusal.has_code(&["authentication_error"]) => Some(KeyState::Invalid),
        () => None,
    }
}

/// A bad key has status 400 (Gemini API, "API errors"; google.api.ErrorReason).
fn gemini(refusal: &Refusal<'_>) -> Option<KeyState> {
    let is_invalid = refusal.has_code(&["api_key_invalid"])
        || refusal.says(&[
            "api key not valid",
            "api key expired",
            "api key not found",
            "reported as leaked",
            "unregistered callers",
        ]);
    let is_spent = refusal.has_code(&["billing_disabled"])
        || refusal.says(&[
            "enable billing",
            "spending cap",
            "spend cap",
            "credits are depleted",
        ]);
    match refusal.status {
        400 | 403 if is_invalid => Some(KeyState::Invalid),
        400 | 403 | 429 if is_spent => Some(KeyState::QuotaSpent),
        400 if refusal.has_code(&["failed_precondition"]) => Some(KeyState::NoPermission),
        499 => Some(KeyState::Unavailable),
        _ => None,
    }
}

/// 498 is an invalid token, 499 a cancelled request (Cohere, "Errors", and the errors of its SDKs). A trial key has a number of calls for
/// each month, beside the limit for each minute (Cohere, "API keys and rate limits").
fn cohere(refusal: &Refusal<'_>) -> Option<KeyState> {
    match refusal.status {
        498 => Some(KeyState::Invalid),
        499 => Some(KeyState::Unavailable),
        429 if refusal.says(&["/ month", "per month", "calls a month"]) => Some(KeyState::QuotaSpent),
        _ => None,
    }
}

/// A key whose own credit limit is used up has status 402 or 403 (OpenRouter, "Limits").
fn openrouter(refusal: &Refusal<'_>) -> Option<KeyState> {
    let is_spent = refusal.has_code(&["openrouter_credits", "openrouter_key_limit"])
        || refusal.says(&["key limit exceeded", "insufficient credits"]);
    (matches!(refusal.status, 402 | 403) && is_spent).then_some(KeyState::QuotaSpent)
}

/// Servers that copy OpenAI's errors use its words with other statuses: `LiteLLM` reports a used up budget with status 400 or 429
/// (`budget_exceeded`), one-api an invalid token with its type, and Groq, `DeepSeek` and vLLM the statuses alone.
fn compatible(refusal: &Refusal<'_>) -> Option<KeyState> {
    if !(400..500).contains(&refusal.status) {
        return None;
    }
    match () {
        () if refusal.has_code(SPENT) || refusal.has_code(&["budget_exceeded"]) => Some(KeyState::QuotaSpent),
        () if refusal.says(&["budget has been exceeded", "insufficient balance"]) => {
            Some(KeyState::QuotaSpent)
        }
        () if refusal.has_code(&["invalid_api_key", "authentication_error", "auth_error"]) => {
            Some(KeyState::Invalid)
        }
        () if refusal.has_code(&["permission_error"]) => Some(KeyState::NoPermission),
        () => None,
    }
}
