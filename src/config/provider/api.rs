//! The providers, with what a configuration has to know about each: the default URL, and whether a key is needed.

use schemars::JsonSchema;
use serde::Deserialize;

/// A provider of models, or the protocol of a self-hosted server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderApi {
    /// OpenAI.
    OpenAi,
    /// Anthropic.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
    /// Mistral.
    Mistral,
    /// Cohere.
    Cohere,
    /// The Hugging Face Hub.
    HuggingFace,
    /// `OpenRouter`.
    OpenRouter,
    /// An Ollama server.
    Ollama,
    /// A vLLM server.
    Vllm,
    /// Any other server with OpenAI's API.
    Compatible,
}

impl ProviderApi {
    /// All providers, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::OpenAi,
        Self::Anthropic,
        Self::Gemini,
        Self::Mistral,
        Self::Cohere,
        Self::HuggingFace,
        Self::OpenRouter,
        Self::Ollama,
        Self::Vllm,
        Self::Compatible,
    ];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Mistral => "mistral",
            Self::Cohere => "cohere",
            Self::HuggingFace => "huggingface",
            Self::OpenRouter => "openrouter",
            Self::Ollama => "ollama",
            Self::Vllm => "vllm",
            Self::Compatible => "compatible",
        }
    }

    /// The URL that the provider's own SDK uses by default; `None` if there is no such URL.
    pub const fn default_url(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("https://api.openai.com/v1"),
            Self::Anthropic => Some("https://api.anthropic.com"),
            Self::Gemini => Some("https://generativelanguage.googleapis.com"),
            Self::Mistral => Some("https://api.mistral.ai"),
            Self::Cohere => Some("https://api.cohere.com"),
            Self::HuggingFace => Some("https://huggingface.co"),
            Self::OpenRouter => Some("https://openrouter.ai/api/v1"),
            Self::Ollama => Some("http://127.0.0.1:11434"),
            Self::Vllm | Self::Compatible => None,
        }
    }

    /// Whether the operator of the check usually runs the server. Then the server may need no key, and its outage is the operator's.
    pub const fn is_self_hosted(self) -> bool {
        matches!(self, Self::Ollama | Self::Vllm | Self::Compatible)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_files_are_the_names_in_texts() {
        for api in ProviderApi::ALL {
            let read: ProviderApi = serde_json::from_value(api.as_str().into()).unwrap();
            assert_eq!(read, api);
            assert_eq!(
                api.default_url().is_none(),
                matches!(api, ProviderApi::Vllm | ProviderApi::Compatible)
            );
        }
    }
}
