//! Chooses the page of an HTTP server that a check requests. Pure.

use super::facts::{HttpServer, Page};

/// The page that tells whether the server is healthy: a health page that succeeds, otherwise the first page. A page with the body of
/// the first page is no health page: servers of web applications return that page for every path. Neither is a page that does not end.
pub fn health_page(server: &HttpServer) -> Option<&Page> {
    let first = server.pages.iter().find(|page| page.path == "/");
    let is_copy = |page: &Page| {
        first.is_some_and(|first| is_success(first) && page.body.is_some() && page.body == first.body)
    };
    let health = server
        .pages
        .iter()
        .find(|page| page.path != "/" && page.body.is_some() && is_success(page) && !is_copy(page));
    health.or(first)
}

/// Whether the status of a page says that the server works. With 400 and 421, the server may only object to the name of the host, and
/// logs that.
pub fn is_usable(page: &Page) -> bool {
    matches!(page.status, 200..=399 | 401..=420 | 422..=499)
}

/// Whether a check needs no other status codes than the default.
pub fn is_success(page: &Page) -> bool {
    (200..300).contains(&page.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(pages: &[(&'static str, u16, u64)]) -> Option<&'static str> {
        let pages = pages.iter().map(|(path, status, body)| Page {
            path,
            status: *status,
            body: Some(*body),
        });
        let server = HttpServer {
            pages: pages.collect(),
            ..HttpServer::default()
        };
        health_page(&server).map(|page| page.path)
    }

    #[test]
    fn a_health_page_comes_first() {
        assert_eq!(
            chosen(&[("/", 200, 1), ("/health", 404, 2), ("/healthz", 200, 3)]),
            Some("/healthz")
        );
        assert_eq!(chosen(&[("/", 404, 1), ("/health", 200, 1)]), Some("/health"));
        assert_eq!(chosen(&[("/", 302, 1), ("/health", 503, 2)]), Some("/"));
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn a_copy_of_the_first_page_is_no_health_page() {
        assert_eq!(
            chosen(&[("/", 200, 1), ("/health", 200, 1), ("/healthz", 200, 1)]),
            Some("/")
        );
        assert_eq!(
            chosen(&[("/", 200, 1), ("/health", 200, 1), ("/api/health", 200, 2)]),
            Some("/api/health")
        );
    }
}
