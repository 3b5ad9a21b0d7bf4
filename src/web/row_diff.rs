//! What changed since the second before, for the page: the rows of the services that are shown differently now.

use std::collections::HashMap;

use super::html;
use crate::store::{Fnv, Snapshot};

/// The most bytes of rows in one update. Where more changed, the page is asked for again, which can be compressed.
const MAX_BYTES: usize = 512 * 1024;

/// What the rows looked like, as hashes.
#[derive(Default)]
pub(super) struct Rows(Option<HashMap<String, u64>>);

impl Rows {
    /// The event that brings a page to the state of `snapshot`. The first one brings no rows and says that it is not complete:
    /// what happened since a client asked for the page is not known.
    pub fn update(&mut self, snapshot: &Snapshot) -> String {
        let mut rows = serde_json::Map::new();
        let mut bytes = 0;
        let mut hashes = HashMap::with_capacity(snapshot.services.len());
        for view in &snapshot.services {
            let key = view.service.key.as_str();
            let row = html::row(snapshot, view, snapshot.taken).into_string();
            let mut hash = Fnv::new();
            hash.write(row.as_bytes());
            let hash = hash.finish();
            if let Some(known) = &self.0
                && known.get(key) != Some(&hash)
            {
                bytes += row.len();
                if bytes <= MAX_BYTES {
                    rows.insert(key.to_owned(), row.into());
                }
            }
            hashes.insert(key.to_owned(), hash);
        }
        let is_complete = self.0.replace(hashes).is_some() && bytes <= MAX_BYTES;
        if !is_complete {
            rows.clear();
        }
        let data = serde_json::json!({
            "taken": html::rfc3339(snapshot.taken),
            "layout": format!("{:016x}", html::layout(snapshot)),
            "complete": is_complete,
            "rows": rows,
        });
        format!("event: update\ndata: {data}\n\n")
    }
}
