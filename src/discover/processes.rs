//! Reads which programs processes run. Command lines may contain secrets, so only the script, the module or the application is kept.

use std::collections::BTreeSet;
use std::path::Path;

use super::facts::{Program, Worker};
use super::plumbing::EXPORTER;
use crate::check::port_scan::{Holder, unit};
use crate::check::proc_scan::{ProcRoot, ProcessPath, Stat};

/// How many bytes of a command line are read. The script is among the first arguments.
const MAX_COMMAND_BYTES: usize = 4096;

/// How many bytes of a file `cgroup` are read.
const MAX_CGROUP_BYTES: usize = 4096;

/// How many bytes of a file `stat` are read. It has about 350.
const MAX_STAT_BYTES: usize = 4096;

/// How many workers are listed.
const MAX_WORKERS: usize = 100;

/// Programs that run scripts.
const INTERPRETERS: [&str; 8] = ["python", "node", "ruby", "perl", "php", "bash", "sh", "deno"];

/// The processes that started this one, directly or not.
pub fn ancestors(root: &ProcRoot) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    let mut path = ProcessPath::default();
    let mut buffer = vec![0; MAX_STAT_BYTES];
    let mut next = root.own_process();
    while let Some(process) = next.filter(|process| *process > 0) {
        path.set_process(process);
        let length = root.read(path.file("stat"), &mut buffer).unwrap_or(0);
        next = Stat::parse(&buffer[..length]).map(|stat| stat.parent);
        if !found.insert(process) {
            break;
        }
    }
    found
}

/// The program of a process that holds a port.
pub fn program_of(root: &ProcRoot, ancestors: &BTreeSet<i32>, holder: &Holder) -> Program {
    let arguments = arguments(root, holder.process);
    Program {
        name: String::from_utf8_lossy(&holder.name).into_owned(),
        script: script(&arguments),
        is_ancestor: ancestors.contains(&holder.process),
        is_exporter: is_exporter(&holder.name, &arguments),
    }
}

/// Whether a process is an exporter. Its name has at most 15 bytes, as many as that of the exporter. So the name of a program or script
/// that is longer (`upkeep_exporter_proxy`) looks the same, but its command line has the rest.
fn is_exporter(name: &[u8], arguments: &[String]) -> bool {
    let program = arguments.first().map_or("", |path| file_name(path));
    let is_longer = program.len() > EXPORTER.len() && program.starts_with(EXPORTER);
    name == EXPORTER.as_bytes() && !is_longer && !is_interpreter(program)
}

/// Lists the Celery workers in the /proc mounted at `procfs`. Blocks.
pub fn workers(procfs: &Path) -> Vec<Worker> {
    let Ok(root) = ProcRoot::open(procfs) else {
        return Vec::new();
    };
    let processes = root.processes().unwrap_or_default();
    let mut found = Vec::new();
    for process in processes {
        if let Some(app) = worker_app(&arguments(&root, process)) {
            found.push(Worker {
                app,
                unit: unit_of(&root, process),
            });
        }
    }
    found.sort();
    // The processes of a pool have the command line of their parent.
    found.dedup();
    found.truncate(MAX_WORKERS);
    found
}

fn unit_of(root: &ProcRoot, process: i32) -> Option<String> {
    let mut path = ProcessPath::default();
    path.set_process(process);
    let mut text = vec![0; MAX_CGROUP_BYTES];
    let length = root.read(path.file("cgroup"), &mut text).ok()?;
    let text = String::from_utf8_lossy(&text[..length]);
    // Version 2 first; the hierarchy of systemd in version 1 otherwise.
    let paths = text.lines().filter_map(|line| {
        line.strip_prefix("0::")
            .or_else(|| Some(line.split_once(":name=systemd:")?.1))
    });
    paths.filter_map(unit).next().map(str::to_owned)
}

fn arguments(root: &ProcRoot, process: i32) -> Vec<String> {
    let mut path = ProcessPath::default();
    path.set_process(process);
    let mut bytes = vec![0; MAX_COMMAND_BYTES];
    let length = root.read(path.file("cmdline"), &mut bytes).unwrap_or(0);
    let arguments = bytes[..length].split(|byte| *byte == 0);
    arguments
        .filter(|argument| !argument.is_empty())
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect()
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn is_interpreter(program: &str) -> bool {
    let stem = file_name(program).trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    INTERPRETERS.contains(&stem)
}

/// The script or the module that an interpreter runs: the first argument that is no option, or that of `-m`.
fn script(arguments: &[String]) -> Option<String> {
    let (program, rest) = arguments.split_first()?;
    if !is_interpreter(program) {
        return None;
    }
    let mut rest = rest.iter();
    let mut has_options = false;
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "-m" => return rest.next().cloned().filter(|module| is_plain(module)),
            // Code on the command line or on standard input has no name, and may contain anything.
            "-" | "--" | "-c" | "-e" | "-p" | "-s" | "--eval" | "--print" => return None,
            option if option.starts_with('-') => has_options = true,
            // The value of an option, or an argument of a module or of code (`-mapp --token TOKEN`), may be a secret. Only a path or the
            // name of a file of an interpreter is a script.
            script if has_options && !is_file(script) => return None,
            script => return Some(file_name(script).to_owned()).filter(|name| is_plain(name)),
        }
    }
    None
}

/// Whether an argument is the path of a script.
fn is_file(argument: &str) -> bool {
    let endings = [
        ".py", ".js", ".mjs", ".cjs", ".ts", ".rb", ".pl", ".php", ".sh", ".pyz",
    ];
    argument.starts_with('/') || endings.iter().any(|ending| argument.ends_with(ending))
}

/// The application of a worker; `None` if the process is not the parent of a worker.
fn worker_app(arguments: &[String]) -> Option<String> {
    let position = arguments
        .iter()
        .take(3)
        .position(|argument| file_name(argument) == "celery")?;
    if position > 0 && !is_interpreter(&arguments[0]) {
        return None;
    }
    let rest = &arguments[position + 1..];
    if !rest.iter().any(|argument| argument == "worker") {
        return None;
    }
    let mut app = String::new();
    for (at, argument) in rest.iter().enumerate() {
        let value = match argument.as_str() {
            "-A" | "--app" => rest.get(at + 1).map(String::as_str),
            _ => argument
                .strip_prefix("--app=")
                .or_else(|| argument.strip_prefix("-A")),
        };
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            value.clone_into(&mut app);
            break;
        }
    }
    (app.is_empty() || is_plain(&app)).then_some(app)
}

/// Whether a name can be shown and matched as it is.
fn is_plain(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    !name.is_empty() && name.len() <= 64 && name.chars().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    /// The kernel truncates all of these names to `upkeep_exporter`.
    #[test]
    fn programs_with_longer_names_are_no_exporters() {
        for (command, expected) in [
            ("upkeep_exporter --no-discover", true),
            ("/opt/upkeep_exporter", true),
            // The command line can't be read.
            ("", true),
            ("/opt/upkeep_exporter_proxy --config.file upkeep_exporter", false),
            ("/usr/bin/python3 /srv/upkeep_exporter_proxy.py", false),
        ] {
            let found = is_exporter(b"upkeep_exporter", &words(command));
            assert_eq!(found, expected, "{command}");
        }
        assert!(!is_exporter(b"python3", &words("upkeep_exporter")));
    }

    #[test]
    fn scripts_are_found_and_secrets_are_not() {
        for (command, expected) in [
            (
                "python3 -m http.server --directory /srv 5000",
                Some("http.server"),
            ),
            (
                "/usr/bin/python3.13 -u /srv/app/main.py --password=x",
                Some("main.py"),
            ),
            ("node /srv/app/server.js", Some("server.js")),
            ("/usr/bin/nginx -c /etc/nginx.conf", None),
            ("python3 -c secret", None),
            ("python3 user:pass@host", None),
            ("python3", None),
            ("/usr/bin/python3 -Es /usr/sbin/tuned -l", Some("tuned")),
            ("python3 -mapp --token s3cr3t", None),
            ("python3 -Wignore -mapp s3cr3t", None),
            ("python3 - s3cr3t", None),
            ("bash -s -- --token s3cr3t", None),
            ("node -r hook s3cr3t", None),
        ] {
            assert_eq!(script(&words(command)).as_deref(), expected, "{command}");
        }
    }

    #[test]
    fn workers_are_recognized_by_their_command_line() {
        for (command, expected) in [
            (
                "/usr/bin/python3 /usr/bin/celery -A shop worker -l info",
                Some("shop"),
            ),
            ("/srv/venv/bin/celery --app=shop.tasks worker", Some("shop.tasks")),
            ("python3 -m celery -A shop worker", Some("shop")),
            ("celery worker", Some("")),
            ("celery -A shop beat", None),
            ("grep celery worker", None),
            ("vim celery", None),
        ] {
            assert_eq!(worker_app(&words(command)).as_deref(), expected, "{command}");
        }
    }
}
