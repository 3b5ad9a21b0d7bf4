//! Updates for the overview: the rows of services that changed since the last update.

use std::collections::HashMap;

use super::html;
use crate::store::{Fnv, Snapshot};

/// The maximum number of bytes of rows in one update. Beyond that, the page fetches itself again, which can be compressed.
const MAX_BYTES: usize = 512 * 1024;

/// Finds the rows that changed since the last update.
#[derive(Default)]
pub(super) struct RowDiff {
    /// Hashes of the rows by service; `None` before the first update.
    hashes: Option<HashMap<String, u64>>,
}

impl RowDiff {
    /// Renders the event that brings a page to the state of `snapshot`. The first update has no rows and is marked as
    /// incomplete: it is not known which state a client's page shows.
    pub fn render_update(&mut self, snapshot: &Snapshot) -> String {
        let mut rows = serde_json::Map::new();
        let mut bytes = 0;
        let mut hashes = HashMap::with_capacity(snapshot.services.len());
        for view in &snapshot.services {
            let key = view.service.key.as_str();
            let row = html::row(snapshot, view, snapshot.taken, None).into_string();
            let mut hash = Fnv::new();
            hash.write(row.as_bytes());
            let hash = hash.finish();
            if let Some(known) = &self.hashes
                && known.get(key) != Some(&hash)
            {
                bytes += row.len();
                if bytes <= MAX_BYTES {
                    rows.insert(key.to_owned(), row.into());
                }
            }
            hashes.insert(key.to_owned(), hash);
        }
        let is_complete = self.hashes.replace(hashes).is_some() && bytes <= MAX_BYTES;
        if !is_complete {
            rows.clear();
        }
        let data = serde_json::json!({
            "taken": html::rfc3339(snapshot.taken),
            "layout": format!("{:016x}", html::layout_hash(snapshot)),
            "complete": is_complete,
            "rows": rows,
        });
        format!("event: update\ndata: {data}\n\n")
    }
}
