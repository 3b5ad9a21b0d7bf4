//! Several configuration files: errors in one of them, and changes that are loaded automatically.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::LONG;
use crate::common::exporter::get_owned;
use crate::common::servers::{Server, eventually, free_port, get};

const LOADED: &str = "upkeep_config_last_reload_successful";

/// An exporter with a file `main.yml` and a directory `conf.d`.
struct Fixture {
    root: TempDir,
    port: u16,
    server: Server,
}

/// A service whose check needs no target.
fn service(key: &str) -> String {
    format!("services: [{{ key: {key}, checks: [{{ kind: process, match: [init] }}] }}]\n")
}

impl Fixture {
    /// Starts an exporter with these files, and `main.yml` with the service `main`.
    async fn start(files: &[(&str, &str)], flags: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("conf.d")).unwrap();
        fs::write(root.path().join("main.yml"), service("main")).unwrap();
        for (name, text) in files {
            fs::write(root.path().join("conf.d").join(name), text).unwrap();
        }
        Self::start_in(root, &["main.yml", "conf.d"], flags).await
    }

    /// Starts an exporter with these paths below `root`.
    async fn start_in(root: TempDir, paths: &[&str], flags: &[&str]) -> Self {
        let port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
        command
            .args(paths.iter().map(|path| format!("--config.file={path}")))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--control.socket=")
            .args(flags)
            .current_dir(root.path());
        let server = Server::start("exporter", command, root.path());
        let fixture = Self { root, port, server };
        eventually("the start", LONG, || get_owned(fixture.url("/-/healthy"))).await;
        fixture
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// The keys of the services, in order.
    async fn keys(&self) -> Option<Vec<String>> {
        let metrics = get(&self.url("/metrics")).await?;
        let labels = metrics
            .lines()
            .filter_map(|line| line.strip_prefix("upkeep_service_info{service=\""));
        let mut keys: Vec<String> = labels
            .filter_map(|labels| Some(labels.split_once('"')?.0.to_owned()))
            .collect();
        keys.sort();
        Some(keys)
    }

    /// The value of a series.
    async fn value(&self, series: &str) -> Option<f64> {
        let metrics = get(&self.url("/metrics")).await?;
        let value = metrics
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        value.parse().ok()
    }

    /// Waits until these are the services, and whether the last load succeeded.
    async fn becomes(&self, what: &str, keys: &[&str], is_loaded: bool) {
        let what = format!("{what}: {keys:?}, loaded: {is_loaded}\n{}", self.server.log());
        eventually(&what, LONG, || async {
            let is_expected =
                self.keys().await? == keys && self.value(LOADED).await? == f64::from(u8::from(is_loaded));
            is_expected.then_some(())
        })
        .await;
    }

    fn valid(name: &str) -> String {
        format!("upkeep_config_file_valid{{file=\"{name}\"}}")
    }
}

/// Replaces a file by renaming a new one, as deployments do.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_errors_at_the_start_does_not_stop_the_others() {
    let broken = "services: [{ key: web, intervall: 5s }]\n";
    let fixture = Fixture::start(&[("web.yml", broken), ("db.yaml", &service("db"))], &[]).await;
    fixture.becomes("the start", &["db", "main"], false).await;
    for (name, expected) in [
        ("main.yml", 1.0),
        ("conf.d/db.yaml", 1.0),
        ("conf.d/web.yml", 0.0),
    ] {
        assert_eq!(
            fixture.value(&Fixture::valid(name)).await,
            Some(expected),
            "{name}"
        );
    }
    assert!(
        fixture
            .server
            .log()
            .contains("conf.d/web.yml:1:24: services[0].intervall")
    );
    let page = get(&fixture.url("/")).await.unwrap();
    assert!(
        page.contains("Some configuration files have errors") && page.contains("<code>conf.d/web.yml</code>"),
        "{page}"
    );
    fixture.write("conf.d/web.yml", &service("web"));
    fixture.server.signal(Signal::HUP);
    fixture
        .becomes("the fixed file", &["db", "main", "web"], true)
        .await;
    assert!(
        !get(&fixture.url("/"))
            .await
            .unwrap()
            .contains("Some configuration files")
    );

    // The last valid content stays, while other files change.
    fixture.write("conf.d/web.yml", broken);
    fixture.write("conf.d/db.yaml", &service("cache"));
    fixture.server.signal(Signal::HUP);
    fixture
        .becomes("a broken file", &["cache", "main", "web"], false)
        .await;
    assert_eq!(fixture.value(&Fixture::valid("conf.d/web.yml")).await, Some(0.0));
    // The same key in two files.
    fixture.write("conf.d/web.yml", &service("cache"));
    fixture.server.signal(Signal::HUP);
    eventually("the conflict in the log", LONG, || async {
        let log = fixture.server.log();
        let is_logged = log.contains("cache is also the key of a service in conf.d/db.yaml:1")
            && log.contains("cache is also the key of a service in conf.d/web.yml:1");
        is_logged.then_some(())
    })
    .await;
    fixture
        .becomes("a conflict", &["cache", "main", "web"], false)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_loaded_automatically() {
    let fixture = Fixture::start(&[("a.yml", &service("a"))], &["--config.auto-reload"]).await;
    let a = fixture.path("conf.d/a.yml");
    fixture.becomes("the start", &["a", "main"], true).await;

    replace(&a, &service("renamed"));
    fixture
        .becomes("an atomic rename", &["main", "renamed"], true)
        .await;

    fixture.write("conf.d/a.yml", &service("written"));
    fixture
        .becomes("a write in place", &["main", "written"], true)
        .await;

    // An editor: it writes a swap file and the new file, and keeps the old one.
    fixture.write("conf.d/.a.yml.swp", "\u{0}");
    fs::rename(&a, fixture.path("conf.d/a.yml~")).unwrap();
    fixture.write("conf.d/a.yml", &service("edited"));
    fs::remove_file(fixture.path("conf.d/.a.yml.swp")).unwrap();
    fixture.becomes("an editor", &["edited", "main"], true).await;

    // Half of a file, for longer than it takes to settle.
    let (text, mut file) = (service("slow"), fs::File::create(&a).unwrap());
    file.write_all(&text.as_bytes()[..20]).unwrap();
    drop(file);
    fixture
        .becomes("a half-written file", &["edited", "main"], false)
        .await;
    let mut file = fs::File::options().append(true).open(&a).unwrap();
    file.write_all(&text.as_bytes()[20..]).unwrap();
    drop(file);
    fixture
        .becomes("the rest of the file", &["main", "slow"], true)
        .await;

    fixture.write("conf.d/b.yml", &service("added"));
    fs::remove_file(&a).unwrap();
    fixture.becomes("a removed file", &["added", "main"], true).await;

    fs::remove_dir_all(fixture.path("conf.d")).unwrap();
    fixture
        .becomes("a removed directory", &["added", "main"], false)
        .await;
    assert_eq!(fixture.value(&Fixture::valid("conf.d")).await, Some(0.0));
    fs::create_dir(fixture.path("conf.d")).unwrap();
    fixture.write("conf.d/c.yml", &service("again"));
    fixture.becomes("a new directory", &["again", "main"], true).await;
    fixture.write("main.yml", &service("first"));
    fixture.becomes("the other path", &["again", "first"], true).await;

    // Without a change of a configuration file, nothing is loaded.
    let loaded = || fixture.value("upkeep_config_last_reload_success_timestamp_seconds");
    let before = loaded().await.unwrap();
    fixture.write("conf.d/notes.txt", "");
    fixture.write("conf.d/.hidden.yml", "services: [");
    // Longer than files take to settle.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let change = loaded().await.unwrap() - before;
    assert!(change.abs() < 1.0, "{change} s later: {}", fixture.server.log());
    fixture.write("conf.d/c.yml", &service("last"));
    fixture.becomes("the last change", &["first", "last"], true).await;
    assert!(loaded().await.unwrap() > before + 1.0);
}

/// Writes a ConfigMap as Kubernetes does: files in a new directory, to which the link `..data` points. The files are links over it.
fn write_config_map(mount: &Path, version: &str, files: &[(&str, String)]) {
    let directory = mount.join(version);
    fs::create_dir(&directory).unwrap();
    for (name, text) in files {
        fs::write(directory.join(name), text).unwrap();
    }
    let old = fs::read_link(mount.join("..data"));
    symlink(version, mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    for (name, _) in files {
        if fs::symlink_metadata(mount.join(name)).is_err() {
            symlink(Path::new("..data").join(name), mount.join(name)).unwrap();
        }
    }
    if let Ok(old) = old {
        fs::remove_dir_all(mount.join(old)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn config_maps_and_linked_files_are_loaded_automatically() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    fs::create_dir(at("map")).unwrap();
    write_config_map(
        &at("map"),
        "..1",
        &[("a.yml", service("a")), ("b.yml", service("b"))],
    );
    // A link to a file elsewhere, below a link of a deployment.
    fs::create_dir_all(at("releases/1")).unwrap();
    fs::create_dir_all(at("releases/2")).unwrap();
    fs::write(at("releases/1/app.yml"), service("app1")).unwrap();
    fs::write(at("releases/2/app.yml"), service("app2")).unwrap();
    symlink("releases/1", at("current")).unwrap();
    let fixture = Fixture::start_in(root, &["map", "current/app.yml"], &["--config.auto-reload"]).await;
    fixture.becomes("the start", &["a", "app1", "b"], true).await;

    write_config_map(
        &fixture.path("map"),
        "..2",
        &[("a.yml", service("c")), ("b.yml", service("d"))],
    );
    fixture.becomes("a ConfigMap", &["app1", "c", "d"], true).await;

    symlink("releases/2", fixture.path("new")).unwrap();
    fs::rename(fixture.path("new"), fixture.path("current")).unwrap();
    fixture
        .becomes("a linked directory", &["app2", "c", "d"], true)
        .await;
    replace(&fixture.path("releases/2/app.yml"), &service("app3"));
    fixture
        .becomes("the target of a link", &["app3", "c", "d"], true)
        .await;
}

#[test]
fn commands_accept_directories() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("conf.d")).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
        let output = command.args(arguments).current_dir(root.path()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, _, errors) = run(&["check-config", "conf.d"]);
    assert_eq!(
        (code, &*errors),
        (
            1,
            "conf.d: the directory has no configuration files (*.yml, *.yaml): add one\n1 error in conf.d\n"
        )
    );
    fs::write(root.path().join("conf.d/a.yml"), service("a")).unwrap();
    fs::write(root.path().join("conf.d/b.yml"), service("b")).unwrap();
    let (code, output, errors) = run(&["check-config", "conf.d"]);
    assert_eq!((code, &*errors), (0, ""));
    assert!(
        output.starts_with("conf.d: 2 services, 2 checks, at most "),
        "{output}"
    );
    fs::write(root.path().join("main.yml"), service("a")).unwrap();
    let flags = ["--config.file=main.yml", "--config.file=conf.d"];
    let (code, _, errors) = run(&["--config.check", flags[0], flags[1]]);
    assert_eq!(code, 1);
    for expected in [
        "main.yml:1:19: services[0].key: a is also the key of a service in conf.d/a.yml:1",
        "conf.d/a.yml:1:19: services[0].key: a is also the key of a service in main.yml:1",
        "2 errors in 2 files",
    ] {
        assert!(errors.contains(expected), "{errors}");
    }
    // Each argument on its own.
    assert_eq!(run(&["check-config", "main.yml", "conf.d"]).0, 0);
    for command in [&["check"][..], &["service", "list"], &["polkit-rule"]] {
        let (code, _, errors) = run(&[command, &flags].concat());
        assert!(
            code != 0 && errors.contains("2 errors in 2 files"),
            "{command:?} {errors}"
        );
    }
    fs::write(root.path().join("main.yml"), "defaults: { interval: 1m }\n").unwrap();
    let (_, output, errors) = run(&[&["check", "-o", "csv"][..], &flags].concat());
    assert!(
        errors.is_empty() && output.contains("default,a,") && output.contains("default,b,"),
        "{output}\n{errors}"
    );
    let (code, output, _) = run(&[&["service", "list"][..], &flags].concat());
    assert!(
        code == 0 && output.contains("\na ") && output.contains("\nb "),
        "{output}"
    );
    assert_eq!(run(&[&["polkit-rule"][..], &flags].concat()).0, 0);
    // Automatic reloads need files.
    assert_eq!(run(&["--config.auto-reload"]).0, 64);
}
