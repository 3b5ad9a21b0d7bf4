//! Styles, script and icons: files of their own, compiled in, each under a name that changes with its content, so that
//! browsers keep them for ever and the content security policy needs no exception.

use std::sync::LazyLock;

use crate::model::Status;
use crate::store::Fnv;

/// A file that the page loads.
pub(in crate::web) struct Asset {
    /// Its name below `/assets/`.
    pub name: String,
    /// Its media type.
    pub content_type: &'static str,
    /// What is in it.
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

    /// Where it is.
    pub fn path(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

/// What the pages look like.
pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "status",
        "css",
        "text/css; charset=utf-8",
        include_str!("status.css"),
    )
});

/// What keeps the pages fresh.
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

/// The icon of a page that says this.
pub(super) fn icon(status: Status) -> &'static Asset {
    &ICONS[status as usize]
}

/// The file of this name.
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
    fn every_file_is_found_by_its_name_and_an_icon_is_its_statuses() {
        for status in Status::ALL {
            let icon = icon(*status);
            assert!(icon.name.starts_with(status.as_str()));
            assert_eq!(find(&icon.name).unwrap().body, icon.body);
        }
        assert!(find(&STYLE.name).is_some() && find(&SCRIPT.name).is_some());
        assert!(find("status.css").is_none() && find("").is_none());
    }
}
