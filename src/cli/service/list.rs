//! The table of `service list`.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::actuator::{ActError, Actuator, Failure};
use crate::cli::show::{clean, fit, width};
use crate::config::Config;
use crate::config::Target;
use crate::manage::targets_of;

/// How many states are queried at the same time. Each query opens a connection.
const MAX_QUERIES: usize = 16;

/// The columns.
const TITLES: [&str; 4] = ["SERVICE", "GROUP", "UNIT OR CONTAINER", "STATE"];

/// The lines of the table, and whether all states are known.
pub async fn lines(config: &Config, actuator: &Actuator) -> (Vec<String>, bool) {
    let places = Arc::new(Semaphore::new(MAX_QUERIES));
    let mut queries = JoinSet::new();
    let mut rows: Vec<[String; 4]> = vec![TITLES.map(str::to_owned)];
    for service in &config.services {
        let row = |target: &str, state: &str| {
            [service.key.as_str(), service.group.as_str(), target, state].map(clean)
        };
        let targets = targets_of(service);
        if targets.is_empty() {
            rows.push(row("-", "-"));
        }
        for target in targets {
            let (actuator, places, position) = (actuator.clone(), Arc::clone(&places), rows.len());
            rows.push(row(&target.to_string(), ""));
            queries.spawn(async move {
                // The semaphore is never closed.
                let _place = places.acquire_owned().await;
                (position, state(&actuator, &target).await)
            });
        }
    }
    let mut is_complete = true;
    while let Some(result) = queries.join_next().await {
        let Ok((position, state)) = result else {
            is_complete = false;
            continue;
        };
        is_complete &= state.is_ok();
        let text = state.unwrap_or_else(|error| format!("unknown: {error}"));
        rows[position][3] = clean(&text);
    }
    (format_rows(&rows), is_complete)
}

/// The state of a unit or container in words.
async fn state(actuator: &Actuator, target: &Target) -> Result<String, ActError> {
    match target {
        Target::Unit { name, bus } => {
            let status = actuator.unit_status(name, bus).await?;
            Ok(match status.load.as_str() {
                "loaded" | "masked" if status.active.is_empty() => "unknown".to_owned(),
                "loaded" => format!("{} ({})", status.active, status.sub),
                load => format!("{load}, {}", status.active),
            })
        }
        Target::Container { name, engine } => match actuator.container_status(name, engine).await {
            Ok(status) => Ok(status.state),
            Err(error) if error.failure == Failure::Missing => Ok("not found".to_owned()),
            Err(error) => Err(error),
        },
    }
}

/// Pads all columns but the last one.
fn format_rows(rows: &[[String; 4]]) -> Vec<String> {
    let mut widths = [0; 4];
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(width(cell));
        }
    }
    let line = |row: &[String; 4]| {
        let [service, group, target, state] = row;
        format!(
            "{}  {}  {}  {state}",
            fit(service, widths[0]),
            fit(group, widths[1]),
            fit(target, widths[2])
        )
    };
    rows.iter().map(line).collect()
}
