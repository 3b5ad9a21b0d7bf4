//! Discovery of real object stores: rclone, and `MinIO` if `UPKEEP_MINIO` names its binary (`make conformance` does).

use std::fs;

use upkeep_exporter::config::parse;

use super::namespaces::{command_line, run_in};
use super::{CHECK_FOUND, targets};
use crate::common::s3::minio::Minio;
use crate::common::s3::{minio_binary, other};

const SCRIPT: &str = r#"
STORES
discovers() {
    "$1" discover >found.yml && [ $(grep -cE '(port 9000 is HTTP|url: "http://127.0.0.1:9500/minio/health/live")' found.yml) = COUNT ]
}
wait_for discovers "$1"
"#;

#[test]
fn object_stores_are_recognized() {
    let dir = tempfile::tempdir().unwrap();
    let minio = minio_binary();
    let mut stores = vec![command_line(&other::rclone(dir.path(), 9000, "bucket"))];
    if let Some(binary) = &minio {
        let data = dir.path().join("minio");
        fs::create_dir(&data).unwrap();
        let command = Minio::new(binary.clone(), &data, 9500, None).command("access-key", "secret-key");
        stores.push(command_line(&command));
    }
    let count = stores.len().to_string();
    let starts: Vec<String> = stores
        .iter()
        .map(|store| format!("{store} >log-store 2>&1 &"))
        .collect();
    let script = SCRIPT
        .replace("STORES", &starts.join("\n"))
        .replace("COUNT", &count);
    run_in(dir.path(), &[], &(script + CHECK_FOUND));

    let found = fs::read_to_string(dir.path().join("found.yml")).unwrap();
    let config = parse(&found, "found").unwrap().config;
    // It responds with 400 to every request without a signature, so no page tells whether it works.
    let rclone = targets(&config, "rclone");
    assert_eq!((rclone[0].as_str(), rclone.len()), ("tcp *:9000", 2), "{found}");
    if minio.is_some() {
        let url = "http://127.0.0.1:9500/minio/health/live";
        let mut services = config.services.iter();
        let service = services.find(|service| service.checks.iter().any(|check| check.kind.target() == url));
        let service = service.unwrap_or_else(|| panic!("{found}"));
        assert_eq!(service.group, "databases");
    }
}
