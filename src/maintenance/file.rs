//! The windows of commands in the state directory, in `maintenance.json`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::command_window::CommandWindow;
use super::request::Scope;
use crate::config::maintenance::MAX_LENGTH;
use crate::model::{Moment, WallAnchor};
use crate::state_dir::{SaveError, SavedFile, StateDir};

/// The file. The most windows with the longest reasons and scopes need a tenth of its maximum size.
const FILE: SavedFile = SavedFile {
    name: "maintenance.json",
    max_bytes: 64 * 1024 * 1024,
    content: "the saved maintenance windows",
    if_lost: "windows that commands started are lost",
};
const FORMAT: &str = "upkeep_exporter maintenance";
const VERSION: u32 = 1;

/// The saved windows.
#[derive(Debug, Default)]
pub struct SavedWindows {
    /// The number of the next window.
    pub next: u64,
    /// The windows.
    pub windows: Vec<CommandWindow>,
    /// Whether windows differ from the file, because the wall clock was set back.
    pub is_adjusted: bool,
}

#[derive(Serialize, Deserialize)]
struct Document {
    format: String,
    version: u32,
    next: u64,
    windows: Vec<WindowEntry>,
}

/// A window. Times are Unix times in nanoseconds.
#[derive(Serialize, Deserialize)]
struct WindowEntry {
    id: String,
    scope: Scope,
    started: i64,
    ends: i64,
    by: String,
    reason: String,
}

/// The file.
#[derive(Debug)]
pub struct WindowFile {
    dir: Arc<StateDir>,
}

impl WindowFile {
    /// Reads the file. A missing file has no windows. Also returns a warning for the operator.
    pub fn open(dir: Arc<StateDir>, wall: WallAnchor, now: Moment) -> (Self, SavedWindows, Option<String>) {
        let (saved, warning) = dir.load(&FILE, |text| decode(text, wall, now));
        (Self { dir }, saved, warning)
    }

    /// Atomically replaces the file.
    ///
    /// # Errors
    /// If a step fails. The old file stays.
    pub fn write(&self, next: u64, windows: &[CommandWindow], wall: WallAnchor) -> Result<(), SaveError> {
        self.dir.replace(FILE.name, &encode(next, windows, wall)?)
    }
}

fn encode(next: u64, windows: &[CommandWindow], wall: WallAnchor) -> Result<Vec<u8>, serde_json::Error> {
    let entries = windows.iter().map(|window| WindowEntry {
        id: window.id.clone(),
        scope: window.scope.clone(),
        started: wall.nanos(window.started),
        ends: wall.nanos(window.ends),
        by: window.by.clone(),
        reason: window.reason.clone(),
    });
    serde_json::to_vec(&Document {
        format: FORMAT.to_owned(),
        version: VERSION,
        next,
        windows: entries.collect(),
    })
}

/// Decodes the file. If the wall clock was set back while the exporter did not run, a window holds for its own length from `now` at
/// most. Otherwise its alerts would be suppressed until the wall clock reaches the old time again.
fn decode(text: &[u8], wall: WallAnchor, now: Moment) -> Result<SavedWindows, String> {
    let document: Document = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if document.format != FORMAT {
        return Err("it is not a file of maintenance windows".to_owned());
    }
    if document.version != VERSION {
        return Err(format!("its version is {}, not {VERSION}", document.version));
    }
    let mut is_adjusted = false;
    let windows = document.windows.into_iter().map(|entry| {
        let (started, ends) = (wall.moment(entry.started), wall.moment(entry.ends));
        let latest = now + ends.since(started).min(MAX_LENGTH);
        is_adjusted |= started > now || ends > latest;
        CommandWindow {
            id: entry.id,
            scope: entry.scope,
            started: started.min(now),
            ends: ends.min(latest),
            by: entry.by,
            reason: entry.reason,
        }
    });
    Ok(SavedWindows {
        next: document.next,
        windows: windows.collect(),
        is_adjusted,
    })
}
