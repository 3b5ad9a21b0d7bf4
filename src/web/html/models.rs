//! The page of the models that providers offer: a search form, and a table of the models that match.

use maud::{Markup, html};

use super::overview::layout_hash;
use super::parts::{Frame, display_name, document, footer, warnings};
use super::text::{PlainText, Text, count, format_age, full_time};
use crate::model::{Model, Status};
use crate::status::{FoundModel, FoundModels, ModelSource};
use crate::store::Snapshot;
use crate::web::endpoints::Site;
use crate::web::model_query::{MAX_TEXT_CHARS, ModelQuery};

/// Renders the page.
pub(in crate::web) fn models(
    site: Site<'_>,
    snapshot: &Snapshot,
    query: &ModelQuery,
    found: &FoundModels<'_>,
) -> String {
    let all: usize = found
        .sources
        .iter()
        .map(|source| source.catalog.models.len())
        .sum();
    let headline = match found.providers.len() {
        0 => "No models".to_owned(),
        providers => format!("{} of {}", count(all, "model"), count(providers, "provider")),
    };
    document(Frame {
        title: format!("{headline} \u{b7} upkeep"),
        status: Status::worst(snapshot.services.iter().map(|service| service.status)),
        refresh: "page",
        reloads_without_script: false,
        layout: layout_hash(snapshot),
        top: html! {
            p.back { a href="/" { "All services" } }
            h1 { (headline) }
            (warnings(snapshot))
        },
        main: html! {
            @if found.sources.is_empty() {
                p.empty { "No check has reported a list of models. Configure checks of the kind " code { "provider" } "." }
            } @else {
                (form(query, found))
                (results(snapshot, query, found))
                (sources(snapshot, found))
            }
        },
        bottom: footer(site, snapshot),
        snapshot,
    })
}

/// Renders the search form.
fn form(query: &ModelQuery, found: &FoundModels<'_>) -> Markup {
    let search = &query.search;
    html! {
        form.search role="search" method="get" action="/models" data-key="search" {
            p {
                label for="q" { "Id or name" }
                input #q type="search" name="q" maxlength=(MAX_TEXT_CHARS) value=(search.text.as_deref().unwrap_or_default());
            }
            (choice("provider", "Provider", search.provider.as_deref(), found.providers.iter()))
            (choice("capability", "Capability", search.capability.as_deref(), found.capabilities.iter()))
            p { button type="submit" { "Search" } }
        }
    }
}

/// Renders a list to choose from.
fn choice<'a>(
    name: &str,
    title: &str,
    chosen: Option<&str>,
    values: impl Iterator<Item = &'a &'a str>,
) -> Markup {
    html! {
        p {
            label for=(name) { (title) }
            select id=(name) name=(name) {
                option value="" { "all" }
                @for value in values {
                    option value=(value) selected[chosen == Some(value)] { (PlainText(value)) }
                }
            }
        }
    }
}

/// Renders a part of the result, with links to the parts before and after it.
fn results(snapshot: &Snapshot, query: &ModelQuery, found: &FoundModels<'_>) -> Markup {
    let total = found.models.len();
    let shown: Vec<_> = found.models.iter().skip(query.offset).take(query.limit).collect();
    let end = query.offset + shown.len();
    html! {
        p.empty #result {
            @if total == 0 { "No model matches. " a href="/models" { "Show all" } }
            @else if shown.is_empty() { (count(total, "model")) " found, but this page begins after them. " a href=(query.url_at(0)) { "Show the first" } }
            @else if shown.len() == total { (count(total, "model")) " found." }
            @else { (count(total, "model")) " found. Showing " (query.offset + 1) " to " (end) "." }
        }
        @if !shown.is_empty() {
            div.scroll tabindex="0" role="region" aria-label="Models" {
                table.models {
                    thead { tr {
                        th scope="col" { "Model" } th scope="col" { "Provider" } th scope="col" { "Capabilities" }
                        th.number scope="col" { "Context" } th.number scope="col" { "Max output" } th scope="col" { "Shutdown" }
                    } }
                    tbody { @for model in &shown { (row(snapshot.taken, model)) } }
                }
            }
        }
        @if query.offset > 0 || end < total {
            nav.parts aria-label="Parts of the result" {
                ul {
                    @if query.offset > 0 { li { a href=(query.url_at(query.offset.saturating_sub(query.limit))) rel="prev" { "Previous models" } } }
                    @if end < total { li { a href=(query.url_at(end)) rel="next" { "Next models" } } }
                }
            }
        }
    }
}

/// Renders one model.
fn row(taken: f64, found: &FoundModel<'_>) -> Markup {
    let (source, model) = (&found.source, found.model);
    let tokens =
        |tokens: Option<u64>| tokens.map_or_else(|| "\u{2013}".to_owned(), |tokens| tokens.to_string());
    let name = model.name.as_deref().filter(|name| *name != model.id);
    html! {
        tr {
            th scope="row" { code { (Text(&model.id)) } @if let Some(name) = name { " " (Text(name)) } }
            td { (source.catalog.provider) " " (check_link(source)) }
            td { @if model.capabilities.is_empty() { "\u{2013}" } @else { (Text(&model.capabilities.join(", "))) } }
            td.number { (tokens(model.context_length)) }
            td.number { (tokens(model.max_output_tokens)) }
            td { (shutdown(taken, model)) }
        }
    }
}

/// Renders when a model ends.
#[allow(clippy::cast_precision_loss, reason = "Unix times in seconds are exact")]
fn shutdown(taken: f64, model: &Model) -> Markup {
    html! {
        @match model.shutdown.map(|at| at as f64) {
            Some(at) if at > taken => { b { "in " (format_age(at - taken)) } ", " (full_time(at)) },
            Some(at) => { b { "ended" } " " (full_time(at)) },
            None if model.is_deprecated => { b { "deprecated" } },
            None => { "\u{2013}" },
        }
    }
}

/// Renders a link to the service of a check.
fn check_link(source: &ModelSource<'_>) -> Markup {
    let service = &source.service.service;
    html! {
        a href={ "/service/" (service.key.as_str()) } { (Text(display_name(service))) "/" (Text(source.check.settings.name.as_str())) }
    }
}

/// Renders the lists that were searched, and how old they are.
fn sources(snapshot: &Snapshot, found: &FoundModels<'_>) -> Markup {
    html! {
        h2.sources { "Lists" }
        ul.plain {
            @for source in &found.sources {
                li {
                    (source.catalog.provider) " " (check_link(source)) ": " (count(source.catalog.models.len(), "model"))
                    @if source.catalog.omitted > 0 { " (" (source.catalog.omitted) " more are not stored)" }
                    ", " (format_age(source.age(snapshot.taken))) " old"
                }
            }
        }
    }
}
