//! The texts for people.

use std::fmt::Write;

use super::State;
use super::routes::Page;

/// Nothing is loaded from anywhere; styles stand in the page.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The overview.
// Writing to a string does not fail, so the results are dropped.
pub(super) fn index(state: &State) -> String {
    let mut items = String::new();
    for page in Page::ALL {
        let (path, about) = (escaped(page.path(state)), escaped(page.about()));
        let _ = match page {
            Page::Index => Ok(()),
            Page::Reload | Page::Probe | Page::ServiceStatus => {
                writeln!(items, "<li><code>{path}</code> {about}</li>")
            }
            _ => writeln!(items, "<li><a href=\"{path}\">{path}</a> {about}</li>"),
        };
    }
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>upkeep_exporter</title>\n\
         <style>body {{ font: 1rem/1.6 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem; \
         color-scheme: light dark }}</style>\n</head>\n<body>\n<h1>upkeep_exporter {version}</h1>\n\
         <ul>\n{items}</ul>\n</body>\n</html>\n"
    )
}

/// What to say about a path where there is nothing.
pub(super) fn not_found(state: &State) -> String {
    let mut text = String::from("404 Not Found: there is nothing here. There is\n");
    for page in Page::ALL {
        let _ = writeln!(text, "  {}  {}", page.path(state), page.about());
    }
    text
}

/// A text as the content of an element or an attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_leave_their_place() {
        assert_eq!(
            escaped("<a b='\"&\"'>"),
            "&lt;a b=&#39;&quot;&amp;&quot;&#39;&gt;"
        );
    }
}
