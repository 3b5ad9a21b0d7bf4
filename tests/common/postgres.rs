//! PostgreSQL servers on free ports, with their data in a temporary directory. Tests freeze, kill and restart them, and create
//! standbys. The server refuses to run as root, so it runs as the user that its package creates.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use super::servers::{Server, free_port, tool};

/// The superuser's password.
const PASSWORD: &str = "superuser-password";
/// How long a server may take to start or to stop.
const LIMIT: Duration = Duration::from_secs(60);

/// A server with its data. Dropping it stops the server.
pub struct Postgres {
    /// The port at 127.0.0.1, and of the Unix socket in `folder()`.
    pub port: u16,
    server: Option<Server>,
    dir: TempDir,
    bin: PathBuf,
}

impl Postgres {
    /// Starts a server with these lines in its configuration. Logins require a password (SCRAM-SHA-256). The server has the
    /// database `app` and its owner, the role `app` with the password `app-password` and no other privileges.
    pub fn start(config: &str) -> Self {
        let postgres = Self::prepared(config);
        postgres.sql("CREATE ROLE app LOGIN PASSWORD 'app-password'");
        postgres.sql("CREATE DATABASE app OWNER app");
        postgres
    }

    fn prepared(config: &str) -> Self {
        let mut postgres = Self::empty();
        let (password, data) = (postgres.path("password"), postgres.data());
        postgres.write("password", PASSWORD);
        let mut initdb = postgres.command("initdb");
        initdb
            .args([
                "--no-sync",
                "--username=postgres",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--no-locale",
            ])
            .arg(format!("--pwfile={}", password.display()))
            .arg("-D")
            .arg(data);
        run(initdb);
        postgres.configure(config);
        postgres.restart();
        postgres
    }

    fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let postgres = Self {
            port: free_port(),
            server: None,
            bin: bin(),
            dir,
        };
        own(postgres.dir.path());
        postgres
    }

    /// Creates a standby of this server with these lines in its configuration.
    pub fn standby(&self, config: &str) -> Self {
        let mut standby = Self::empty();
        let mut basebackup = standby.command("pg_basebackup");
        basebackup
            .args([
                "-h",
                "127.0.0.1",
                "-U",
                "postgres",
                "--checkpoint=fast",
                "--no-sync",
                "-R",
                "-p",
            ])
            .arg(self.port.to_string())
            .arg("-D")
            .arg(standby.data())
            .env("PGPASSWORD", PASSWORD);
        run(basebackup);
        standby.configure(config);
        standby.restart();
        standby
    }

    /// The folder of its Unix socket.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// The folder of its data.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// A URL of the database `app`, with the password if it is not empty.
    pub fn url(&self, user: &str, password: &str) -> String {
        let colon = if password.is_empty() { "" } else { ":" };
        format!("postgres://{user}{colon}{password}@127.0.0.1:{}/app", self.port)
    }

    /// The URL of the role `app`.
    pub fn app(&self) -> String {
        self.url("app", "app-password")
    }

    /// The URL of the superuser, who sees everything.
    pub fn superuser(&self) -> String {
        self.url("postgres", PASSWORD)
    }

    /// Writes a file that only the server can read.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        own(&path);
        path
    }

    /// Adds lines to its configuration. They apply after [`Self::restart`] or [`Self::reload`].
    pub fn configure(&self, config: &str) {
        let own = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\nfsync = off\n\
             log_min_messages = info\n{config}\n",
            self.port,
            self.dir.path().display(),
        );
        let path = self.data().join("postgresql.conf");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text + &own).unwrap();
    }

    /// Replaces pg_hba.conf, and makes the server read it.
    pub fn allow(&self, lines: &str) {
        fs::write(self.data().join("pg_hba.conf"), lines).unwrap();
        self.reload();
    }

    /// Makes it read its configuration again.
    pub fn reload(&self) {
        self.sql_as_owner("SELECT pg_reload_conf()");
        // The postmaster reads it a moment after the request.
        std::thread::sleep(Duration::from_millis(200));
    }

    /// Starts it on the same port with the same data, however it stopped. If it is running, stops it first.
    pub fn restart(&mut self) {
        self.stop(Signal::INT);
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
        self.server = Some(Server::start("postgres", command, self.dir.path()));
        let begun = Instant::now();
        loop {
            let mut ready = Command::new(self.bin.join("pg_isready"));
            ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            // 1 means that the server responds but accepts nobody, like one without hot_standby.
            if matches!(ready.status().unwrap().code(), Some(0))
                || self.log().contains("is not accepting connections")
            {
                return;
            }
            assert!(
                begun.elapsed() < LIMIT,
                "postgres does not start:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops it: INT for a fast shutdown, QUIT for an immediate one.
    pub fn stop(&mut self, signal: Signal) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        server.signal(signal);
        // The server removes this file almost last. A killed server leaves it.
        let pid_file = self.data().join("postmaster.pid");
        let begun = Instant::now();
        while pid_file.exists() && begun.elapsed() < LIMIT {
            std::thread::sleep(Duration::from_millis(10));
        }
        server.kill();
    }

    /// Kills all its processes. They are frozen first, so that none can notify its clients of another one's end.
    pub fn kill(&mut self) {
        self.freeze();
        let processes = self.processes();
        signal(&processes, Signal::KILL);
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
        let begun = Instant::now();
        while processes.iter().any(|pid| is_alive(*pid)) {
            assert!(begun.elapsed() < LIMIT, "a process of postgres does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        self.free_memory();
    }

    /// Removes the shared memory that a killed server leaves, and that otherwise only its next start would remove. Its key and
    /// id are in the seventh line of this file.
    fn free_memory(&self) {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let id = file
            .lines()
            .nth(6)
            .and_then(|line| line.split_whitespace().nth(1));
        if let Some(id) = id {
            let mut ipcrm = Command::new(tool("ipcrm", "util-linux"));
            ipcrm.args(["-m", id]);
            run(ipcrm);
        }
    }

    /// Sends a signal to the main process.
    pub fn signal(&self, signal: Signal) {
        self.server.as_ref().expect("it runs").signal(signal);
    }

    /// Stops all its processes: connections stay open, and nothing responds.
    pub fn freeze(&self) {
        signal(&self.processes(), Signal::STOP);
    }

    /// Continues all its processes.
    pub fn thaw(&self) {
        signal(&self.processes(), Signal::CONT);
    }

    /// The server's processes, the main one first.
    pub fn processes(&self) -> Vec<u32> {
        let Some(server) = &self.server else {
            return Vec::new();
        };
        let own = server.pid();
        let children = format!("/proc/{own}/task/{own}/children");
        let children = fs::read_to_string(children).unwrap_or_default();
        let children = children.split_whitespace().map(|pid| pid.parse().unwrap());
        std::iter::once(own).chain(children).collect()
    }

    /// Its log.
    pub fn log(&self) -> String {
        self.server.as_ref().map(Server::log).unwrap_or_default()
    }

    /// Runs statements as the superuser in the database `postgres`. Returns the values, one row per line.
    pub fn sql(&self, statements: &str) -> String {
        self.sql_in("127.0.0.1", "postgres", statements)
    }

    /// Runs statements as the superuser in another database.
    pub fn sql_in_database(&self, database: &str, statements: &str) -> String {
        self.sql_in("127.0.0.1", database, statements)
    }

    /// Runs statements over the Unix socket as the server's system user, for when no other login is allowed.
    fn sql_as_owner(&self, statements: &str) -> String {
        self.sql_in(&self.dir.path().display().to_string(), "postgres", statements)
    }

    fn sql_in(&self, host: &str, database: &str, statements: &str) -> String {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-h",
            host,
            "-p",
        ])
        .arg(self.port.to_string())
        .args(["-d", database, "-c", statements])
        .env("PGPASSWORD", PASSWORD);
        run(psql)
    }

    /// The number of sessions of checks, as the server counts them.
    pub fn sessions(&self) -> usize {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'upkeep_exporter'";
        self.sql(count).parse().unwrap()
    }

    /// Waits until no session of a check is left.
    pub fn freed(&self) {
        let begun = Instant::now();
        while self.sessions() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(10), "a session is left");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A program of the server's package that runs as the server's user.
    fn command(&self, name: &str) -> Command {
        let program = self.bin.join(name);
        let mut command = match rustix::process::geteuid().is_root() {
            false => Command::new(program),
            true => {
                let mut command = Command::new(tool("setpriv", "util-linux"));
                let (user, group) = owner();
                command
                    .arg(format!("--reuid={user}"))
                    .arg(format!("--regid={group}"))
                    .args(["--clear-groups", "--"])
                    .arg(program);
                command
            }
        };
        command.current_dir(self.dir.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Unlike a kill, an immediate shutdown also removes its shared memory.
        self.thaw();
        self.stop(Signal::QUIT);
    }
}

fn signal(processes: &[u32], signal: Signal) {
    for pid in processes {
        let pid = rustix::process::Pid::from_raw((*pid).cast_signed()).unwrap();
        // It may have exited already.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Runs a program to its end, and returns its output.
fn run(mut command: Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// The folder with the programs of the newest installed version.
fn bin() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<PathBuf> = versions
        .map(|version| version.path().join("bin"))
        .filter(|bin| bin.join("postgres").is_file())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| {
        panic!("postgres is not installed: run `apt-get install postgresql` as root, or tests/setup.sh")
    })
}

/// The user and group that the package has created.
fn owner() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let mut fields = line
        .expect("the package has made a user postgres")
        .split(':')
        .skip(2);
    let mut number = || fields.next().unwrap().parse().unwrap();
    (number(), number())
}

fn own(path: &Path) {
    if rustix::process::geteuid().is_root() {
        let (user, group) = owner();
        chown(path, Some(user), Some(group)).unwrap();
    }
}
