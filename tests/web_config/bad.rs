//! One small faulty file per rule, next to its exact errors. `UPDATE=1` rewrites the errors: review the diff. The files may
//! reference `good.crt`, `good.key` and `other.key`, which exist only in this test. Also tests valid files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use upkeep_exporter::config::regular_file::FileError;
use upkeep_exporter::web::config::{Files, parse_bytes};

use crate::common::targets::tls::self_signed;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad-web-config")
}

/// The names of the files with this extension, without the extension.
fn names(extension: &str) -> BTreeSet<String> {
    let files = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_faulty_file_has_the_expected_errors() {
    let is_update = std::env::var_os("UPDATE").is_some();
    let (good, other) = (self_signed(&["localhost"]), self_signed(&["localhost"]));
    let read = |path: &Path| match path.to_str().unwrap() {
        "/web/good.crt" => Ok(good.certificate.clone().into_bytes()),
        "/web/good.key" => Ok(good.key.clone().into_bytes()),
        "/web/other.key" => Ok(other.key.clone().into_bytes()),
        _ => Err(FileError::Io(std::io::ErrorKind::NotFound.into())),
    };
    let files = Files::new(Path::new("/web"), &read);
    let mut wrong = Vec::new();
    for name in names("yml") {
        let bytes = fs::read(directory().join(format!("{name}.yml"))).unwrap();
        let golden = directory().join(format!("{name}.txt"));
        let found = match parse_bytes(&bytes, &format!("{name}.yml"), &files) {
            Ok(_) => panic!("{name}.yml loads, but should not"),
            Err(error) => format!("{error}\n"),
        };
        if is_update {
            fs::write(&golden, &found).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if found != expected {
            wrong.push(format!("{name}: found\n{found}expected\n{expected}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nUPDATE=1 accepts the found errors",
        wrong.join("\n")
    );
}

#[test]
fn every_file_has_its_errors_and_every_error_its_file() {
    assert_eq!(names("yml"), names("txt"));
    assert!(names("yml").len() >= 25);
}

#[test]
fn every_command_reports_a_faulty_file() {
    let file = directory().join("several.yml");
    let file = file.to_str().unwrap();
    let good = concat!(env!("CARGO_MANIFEST_DIR"), "/config/default.yml");
    for arguments in [
        &["--web.config.file", file, "--web.listen-address=127.0.0.1:0"][..],
        &["--config.check", "--web.config.file", file],
        &["check-config", "--web.config.file", file],
        &["check-config", "--web.config.file", file, good],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains("several.yml:3:3: tls_server_config.keyfile: unknown key"),
            "{arguments:?}: {said}"
        );
        assert!(!said.contains("hunter2"), "a secret is shown: {said}");
    }
}

#[test]
fn check_config_summarizes_a_valid_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("web.yml");
    fs::write(
        &file,
        "basic_auth_users: {a: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG}\n",
    )
    .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
        .args(["check-config", "--web.config.file"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.ends_with("web.yml: plain HTTP, 1 user\n"), "{said}");
}

#[test]
fn the_documented_file_is_valid() {
    let page = include_str!("../../docs/WEB.md");
    let (_, example) = page.split_once("```yaml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let identity = self_signed(&["localhost"]);
    let read = |path: &Path| match path.to_str().unwrap() {
        "/web/server.crt" | "/web/clients-ca.crt" => Ok(identity.certificate.clone().into_bytes()),
        "/web/server.key" => Ok(identity.key.clone().into_bytes()),
        other => panic!("{other} is not documented"),
    };
    let files = Files::new(Path::new("/web"), &read);
    let settings =
        parse_bytes(example.as_bytes(), "WEB.md", &files).unwrap_or_else(|error| panic!("{error}"));
    assert!(settings.tls.is_some() && settings.rate_limit.is_some());
    assert_eq!((settings.users.len(), settings.http.headers.len()), (1, 5));
    // The page has every key.
    for key in [
        "cert:",
        "key:",
        "client_ca:",
        "client_auth_type:",
        "min_version:",
        "max_version:",
        "http2:",
    ] {
        assert!(example.contains(key), "{key}");
    }
}
