//! Style sheet, script and icons. They are separate files, so the content security policy needs no exceptions. Their names change
//! with their content, so browsers can cache them forever.

use std::sync::LazyLock;

use crate::model::Status;
use crate::store::Fnv;

/// A file that the pages load.
pub(in crate::web) struct Asset {
    /// The name below `/assets/`.
    pub name: String,
    /// The media type.
    pub content_type: &'static str,
    /// The content.
    pub body: &'static str,
}

impl Asset {
    fn new(name: &str, extension: &str, content_type: &'static str, body: &'static str) -> Self {
        let mut hash = Fnv::new();
        hash.write(body.as_bytes());
        Self {
            name: format!("{name}-{:016x}.{extension}", hash.finish()),
            content_type,
            body,
        }
    }

    /// Returns the path.
    pub fn path(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

/// The style sheet.
pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "status",
        "css",
        "text/css; charset=utf-8",
        include_str!("status.css"),
    )
});

/// The script that refreshes the pages.
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "status",
        "js",
        "text/javascript; charset=utf-8",
        include_str!("status.js"),
    )
});

static ICONS: LazyLock<[Asset; Status::ALL.len()]> = LazyLock::new(|| {
    let icon = |status: Status, body| Asset::new(status.as_str(), "svg", "image/svg+xml", body);
    [
        icon(Status::Up, include_str!("up.svg")),
        icon(Status::Degraded, include_str!("degraded.svg")),
        icon(Status::Down, include_str!("down.svg")),
        icon(Status::Unknown, include_str!("unknown.svg")),
    ]
});

/// Returns the icon of a status.
pub(super) fn icon(status: Status) -> &'static Asset {
    &ICONS[status as usize]
}

/// Returns the file with this name.
pub(in crate::web) fn find(name: &str) -> Option<&'static Asset> {
    [&*STYLE, &*SCRIPT]
        .into_iter()
        .chain(ICONS.iter())
        .find(|asset| asset.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_by_its_name() {
        for status in Status::ALL {
            let icon = icon(*status);
            assert!(icon.name.starts_with(status.as_str()));
            assert_eq!(find(&icon.name).unwrap().body, icon.body);
        }
        assert!(find(&STYLE.name).is_some() && find(&SCRIPT.name).is_some());
        assert!(find("status.css").is_none() && find("").is_none());
    }
}
