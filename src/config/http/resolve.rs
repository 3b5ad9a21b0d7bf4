//! Resolves the options of an http check.

use std::sync::Arc;

use http::Method;

use super::target::UserInfo;
use super::{
    Assertions, BodySource, Credentials, DEFAULT_BODY_SIZE_LIMIT, DEFAULT_MAX_REDIRECTS, Extraction,
    HttpOptions, HttpSettings, ProxyOptions, ProxySettings, TargetUrl, assertion, proxy,
};
use crate::config::address::AddressPreference;
use crate::config::place::{Invalid, Place};
use crate::config::secret::{Secret, SecretSource};

impl HttpOptions {
    /// Resolves the options. It reads secrets and files to validate them.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(mut self, place: &Place<'_>) -> Result<HttpSettings, Invalid> {
        let url = self.resolve_url(place);
        let user_info = url.as_ref().ok().and_then(|(_, user_info)| user_info.clone());
        let credentials = self.resolve_credentials(place, user_info);
        let oauth2 = self.oauth2.take();
        let oauth2 = oauth2
            .map(|options| options.resolve(&place.field("oauth2")))
            .transpose();
        let method = self.resolve_method(place);
        let headers = self.resolve_headers(place);
        let header_files = self.resolve_header_files(place);
        let enable_http3 = self.enable_http3;
        if enable_http3 {
            place
                .field("enable_http3")
                .warn("HTTP/3 is not supported, so every run fails: remove this key");
        }
        let body = self.resolve_body(place);
        let redirects = self.resolve_redirects(place);
        let compression = self.resolve_compression(place);
        let proxy = self.resolve_proxy(place);
        let tls = self.tls_config.take().unwrap_or_default();
        let tls = tls.resolve(&place.field("tls_config"));
        let limit = self
            .body_size_limit
            .map_or(DEFAULT_BODY_SIZE_LIMIT, |limit| limit.0);
        let preference = AddressPreference::new(self.preferred_ip_protocol, self.ip_protocol_fallback);
        let enable_http2 = self.enable_http2.unwrap_or(true);
        let extract = std::mem::take(&mut self.extract);
        let extraction = Extraction::resolve(place, extract, self.extract_version.as_deref());
        let assertions = self.resolve_assertions(place);
        Ok(HttpSettings {
            url: url?.0,
            method: method?,
            headers: headers?,
            header_files: header_files?,
            body: body?,
            credentials: credentials?,
            oauth2: oauth2?.map(Arc::new),
            max_redirects: redirects?,
            compression: compression?,
            assertions: assertions?,
            extraction: extraction?,
            body_size_limit: Some(limit).filter(|limit| *limit > 0),
            enable_http2,
            enable_http3,
            tls: tls?,
            preference,
            proxy: proxy?,
        })
    }

    fn resolve_url(&self, place: &Place<'_>) -> Result<(TargetUrl, Option<UserInfo>), Invalid> {
        match &self.url {
            Some(text) => TargetUrl::parse(text).map_err(|error| place.field("url").error(error)),
            None => Err(place.error(
                "url is missing: write the URL to request, such as url: http://127.0.0.1:8000/health",
            )),
        }
    }

    fn resolve_credentials(
        &mut self,
        place: &Place<'_>,
        user_info: Option<UserInfo>,
    ) -> Result<Option<Credentials>, Invalid> {
        let has_oauth2 = self.oauth2.is_some();
        let token = SecretSource::from_keys(
            place,
            "bearer_token",
            self.bearer_token.take(),
            self.bearer_token_file.take(),
            self.bearer_token_env.take(),
        );
        let basic = self.basic_auth.take();
        let basic = basic
            .map(|options| options.resolve(&place.field("basic_auth")))
            .transpose();
        let other = self.authorization.take();
        let other = other
            .map(|options| options.resolve(&place.field("authorization")))
            .transpose();
        let mut names = self.headers.keys().chain(self.http_headers.keys());
        let own = names.any(|name| name.eq_ignore_ascii_case("authorization"));
        let (token, basic, other) = (token?, basic?, other?);
        let given = [
            ("user info in the url", user_info.is_some()),
            ("basic_auth", basic.is_some()),
            ("authorization", other.is_some()),
            ("bearer_token", token.is_some()),
            ("oauth2", has_oauth2),
        ];
        let given: Vec<&str> = given
            .iter()
            .filter(|(_, given)| *given)
            .map(|(name, _)| *name)
            .collect();
        if own && has_oauth2 {
            place.warn("the header Authorization is ignored because of oauth2: remove one of them");
        } else if own && !given.is_empty() {
            place.warn(format_args!(
                "ignored because of the header Authorization: {}",
                given.join(", ")
            ));
            return Ok(None);
        }
        if given.len() > 1 {
            return Err(place.error(format_args!(
                "more than one way of authentication: keep one of {}",
                given.join(", ")
            )));
        }
        let bearer = token.map(|credentials| Credentials::Scheme {
            scheme: "Bearer".to_owned(),
            credentials,
        });
        Ok(basic
            .or(other)
            .or(bearer)
            .or_else(|| user_info.map(Credentials::from_user_info)))
    }

    fn resolve_method(&self, place: &Place<'_>) -> Result<Method, Invalid> {
        let Some(text) = self.method.as_deref() else {
            return Ok(Method::GET);
        };
        match Method::from_bytes(text.as_bytes()) {
            Ok(Method::CONNECT) | Err(_) => {
                let place = place.field("method");
                Err(place.error(format_args!(
                    "\"{text}\" is not a request method: write GET, HEAD, POST, ..."
                )))
            }
            Ok(method) => Ok(method),
        }
    }

    fn resolve_body(&mut self, place: &Place<'_>) -> Result<Option<BodySource>, Invalid> {
        match (self.body.take(), self.body_file.take()) {
            (None, None) => Ok(None),
            (Some(text), None) => Ok(Some(BodySource::Inline(Secret::new(text)))),
            (None, Some(path)) => {
                let source = BodySource::File(path);
                place.field("body_file").validate_reading(source.read())?;
                Ok(Some(source))
            }
            (Some(_), Some(_)) => Err(place.error("give one of body and body_file, not both")),
        }
    }

    fn resolve_redirects(&self, place: &Place<'_>) -> Result<Option<u32>, Invalid> {
        let follow = match (self.follow_redirects, self.no_follow_redirects) {
            (Some(follow), Some(no_follow)) => {
                let place = place.field("no_follow_redirects");
                if follow == no_follow {
                    return Err(
                        place.error("contradicts follow_redirects, which replaces this key: remove it")
                    );
                }
                place.warn("not needed: follow_redirects replaces this key and has the same meaning");
                follow
            }
            (follow, no_follow) => follow.or(no_follow.map(|no| !no)).unwrap_or(true),
        };
        match self.max_redirects {
            Some(_) if !follow => Err(place
                .field("max_redirects")
                .error("max_redirects needs follow_redirects: true")),
            Some(limit @ 0..=100) => Ok(Some(limit)),
            Some(limit) => Err(place
                .field("max_redirects")
                .error(format_args!("{limit} is out of range: write at most 100"))),
            None => Ok(Some(DEFAULT_MAX_REDIRECTS).filter(|_| follow)),
        }
    }

    fn resolve_proxy(&self, place: &Place<'_>) -> Result<Option<ProxySettings>, Invalid> {
        let options = ProxyOptions {
            url: self.proxy_url.as_deref(),
            from_environment: self.proxy_from_environment,
            no_proxy: self.no_proxy.as_deref(),
        };
        proxy::with_connect_headers(options, &self.proxy_connect_header, place)
    }

    fn resolve_assertions(self, place: &Place<'_>) -> Result<Assertions, Invalid> {
        let at = |key: &str| place.field(key);
        let status_codes = self.valid_status_codes.resolve(&at("valid_status_codes"));
        let versions = assertion::versions(&at("valid_http_versions"), &self.valid_http_versions);
        let key = "fail_if_body_matches_regexp";
        let body_matches = assertion::patterns(&at(key), &self.fail_if_body_matches_regexp);
        let key = "fail_if_body_not_matches_regexp";
        let body_not_matches = assertion::patterns(&at(key), &self.fail_if_body_not_matches_regexp);
        let header_matches = assertion::headers(&at("fail_if_header_matches"), self.fail_if_header_matches);
        let key = "fail_if_header_not_matches";
        let header_not_matches = assertion::headers(&at(key), self.fail_if_header_not_matches);
        let key = "fail_if_body_json_matches_cel";
        let json_matches = assertion::expression(&at(key), self.fail_if_body_json_matches_cel.as_deref());
        let key = "fail_if_body_json_not_matches_cel";
        let json_not_matches =
            assertion::expression(&at(key), self.fail_if_body_json_not_matches_cel.as_deref());
        if self.fail_if_ssl && self.fail_if_not_ssl {
            place.warn("fail_if_ssl and fail_if_not_ssl together always fail: remove one of them");
        }
        Ok(Assertions {
            status_codes: status_codes?,
            versions: versions?,
            fail_if_ssl: self.fail_if_ssl,
            fail_if_not_ssl: self.fail_if_not_ssl,
            body_matches: body_matches?,
            body_not_matches: body_not_matches?,
            header_matches: header_matches?,
            header_not_matches: header_not_matches?,
            json_matches: json_matches?,
            json_not_matches: json_not_matches?,
        })
    }
}
