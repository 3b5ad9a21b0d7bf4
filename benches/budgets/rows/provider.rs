//! A run of a provider check that requests a list of 2,000 models from nginx.

use std::fs;
use std::path::Path;

use anyhow::ensure;

use super::{Cost, RUNS, cost_every_second};
use crate::report::Line;
use crate::target::Target;

/// The maximum number of models of a list that are shown.
const MODELS: usize = 2000;

pub fn measure(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let few = cost(1, &directory.join("few"))?;
    let many = cost(MODELS, &directory.join("many"))?;
    let title = "provider check of 2,000 models";
    Ok(vec![
        Line::new(title, many.duration, "ms"),
        Line::new(format!("{title}: CPU"), many.cpu, "ms"),
        Line::new(
            format!("{title}: highest memory, compared with 1 model"),
            many.memory - few.memory,
            "MB",
        ),
    ])
}

fn cost(models: usize, directory: &Path) -> anyhow::Result<Cost> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join("models"), list(models))?;
    let target = Target::nginx_with_files(directory)?;
    let keys = format!(
        "kind: provider, provider: compatible, api_key: wrong, base_url: \"{}\"",
        target.url(0)
    );
    let cost = cost_every_second(&keys, directory)?;
    let found = cost.after.sum("upkeep_provider_models", "");
    ensure!(found == models as f64, "{found} models instead of {models}");
    let last = "upkeep_provider_last_response_timestamp_seconds";
    let requests = cost.after.sum(last, "") - cost.before.sum(last, "");
    ensure!(
        requests + 1.0 >= RUNS as f64,
        "runs reused the result: repeat the row"
    );
    Ok(cost)
}

/// A list as OpenAI sends it.
fn list(models: usize) -> String {
    let models: Vec<String> = (0..models)
        .map(|number| {
            format!(
                "{{\"id\": \"model-{number}\", \"object\": \"model\", \"created\": 1700000000, \"owned_by\": \"system\"}}"
            )
        })
        .collect();
    format!("{{\"object\": \"list\", \"data\": [{}]}}", models.join(", "))
}
