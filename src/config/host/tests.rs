//! Tests of the options of host checks.

use serde_json::{Value, json};

use super::*;
use crate::config::tests_support::resolve_json;

fn resolve(options: Value) -> Result<HostSettings, Vec<String>> {
    resolve_json(options, HostOptions::resolve)
}

#[test]
fn every_limit_is_resolved() {
    let settings = resolve(json!({
        "cpu_below": "90%",
        "load_below": "2 per core",
        "memory_available_above": "10%",
        "swap_below": "2GB",
        "pressure": { "memory": "12.5 %", "io": "40%" },
        "disks": [{ "mount": "/" }, { "mount": "/var//lib/", "free_above": "5GB", "inodes_free_above": 1000 }],
        "file_descriptors_below": "80%",
    }))
    .unwrap();
    assert_eq!(settings.cpu_below.unwrap().ratio(), 0.9);
    assert_eq!(settings.load_below.unwrap().of(4), 8.0);
    assert_eq!(settings.memory_available_above.unwrap().of(1000), 100.0);
    assert_eq!(settings.swap_below.unwrap().of(0), 2_147_483_648.0);
    assert_eq!(
        settings.pressure.map(|share| share.map(Share::ratio)),
        [None, Some(0.125), Some(0.4)]
    );
    assert_eq!(settings.disks[1].mount, PathBuf::from("/var/lib"));
    assert_eq!(settings.disks[1].inodes_free_above, Some(Amount::Number(1000)));
    assert_eq!(settings.target(), "localhost / /var/lib");
}

#[test]
fn limits_are_written_as_they_were_read() {
    for text in ["90%", "7%", "12.5%", "100%", "0.01%"] {
        assert_eq!(Share::parse(text).unwrap().to_string(), text);
    }
    for text in ["8", "1.5", "2 per core", "0.75 per core"] {
        assert_eq!(LoadLimit::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Amount::parse("1KB").unwrap().to_string(), "1024");
}

#[test]
fn everything_else_is_an_error() {
    for text in [
        "", "%", "0%", "101%", "90", "-5%", "1e1%", "inf%", "nan%", "+5%", ".5%", "5%%",
    ] {
        assert!(Share::parse(text).is_err(), "{text}");
    }
    for text in [
        "",
        "0",
        "-1",
        "2per core",
        "per core",
        "2 per  core",
        "x per core",
        "99999999999",
        "inf",
        "1e3",
    ] {
        assert!(LoadLimit::parse(text).is_err(), "{text}");
    }
    for text in ["", "0%", "1.5MB", "-1", "10 %%"] {
        assert!(Amount::parse(text).is_err(), "{text}");
    }
    assert_eq!(
        Share::parse("0.9").unwrap_err().to_string(),
        "\"0.9\" is not a share: write a percentage above 0% and at most 100%, such as 90%"
    );
}

#[test]
fn invalid_disks_are_errors() {
    for (disks, message) in [
        (
            json!([{}]),
            "disks[0]: mount is missing: write the absolute path of a mount point, such as mount: /var",
        ),
        (
            json!([{ "mount": "var" }]),
            "disks[0].mount: \"var\" is not an absolute path without ..: write the absolute path of a mount point, such as mount: /var",
        ),
        (
            json!([{ "mount": "/var/../etc" }]),
            "disks[0].mount: \"/var/../etc\" is not an absolute path without ..: write the absolute path of a mount point, such as mount: /var",
        ),
        (
            json!([{ "mount": "/var" }, { "mount": "/var/" }]),
            "disks[1].mount: /var appears twice: remove one of them",
        ),
        (
            json!(vec![json!({ "mount": "/" }); 33]),
            "disks: 33 disks are too many: write at most 32, and the others in another check",
        ),
    ] {
        assert_eq!(resolve(json!({ "disks": disks })), Err(vec![message.to_owned()]));
    }
}
