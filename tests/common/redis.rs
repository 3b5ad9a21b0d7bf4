//! Real Redis servers, replicas, sentinels and cluster nodes on free ports, with their data in a temporary directory.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::servers::{Server, eventually, free_port, tool};

/// How long a server may take to start on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running server. Dropping it kills the server.
pub struct Redis {
    server: Server,
    program: &'static str,
    dir: TempDir,
    port: u16,
    /// The port of the cluster bus, if it is a cluster node.
    bus_port: Option<u16>,
    /// The credentials of `redis-cli`: `[--user U] --pass P`.
    admin: Vec<String>,
}

impl Redis {
    /// Starts a server with these lines of configuration.
    pub async fn start(lines: &[&str]) -> Self {
        Self::start_as("redis-server", lines).await
    }

    /// Starts a server whose default user has this password.
    pub async fn with_password(password: &str, lines: &[&str]) -> Self {
        let requirepass = format!("requirepass {password}");
        let mut redis = Self::begin("redis-server", &[lines, &[&requirepass]].concat());
        redis.authenticate(password);
        redis.answers().await;
        redis
    }

    /// Starts a sentinel that watches this master under this name, and considers it down after 300 ms.
    pub async fn sentinel(name: &str, master: &Self) -> Self {
        let watched = [
            format!("sentinel monitor {name} 127.0.0.1 {} 1", master.port),
            format!("sentinel down-after-milliseconds {name} 300"),
        ];
        let watched: Vec<&str> = watched.iter().map(String::as_str).collect();
        Self::start_as("redis-sentinel", &watched).await
    }

    /// Starts a cluster node with these lines of configuration. By default, its bus has the port 10,000 above the server's, which another
    /// program may use.
    pub async fn cluster_node(lines: &[&str]) -> Self {
        let bus_port = free_port();
        let cluster = format!("cluster-enabled yes\ncluster-node-timeout 500\ncluster-port {bus_port}");
        let mut node = Self::start(&[lines, &[&cluster]].concat()).await;
        node.bus_port = Some(bus_port);
        node
    }

    /// Lets this cluster node and another one join.
    pub fn meet(&self, other: &Self) {
        let bus_port = other.bus_port.expect("a cluster node");
        self.ok(&[
            "CLUSTER",
            "MEET",
            "127.0.0.1",
            &other.port.to_string(),
            &bus_port.to_string(),
        ]);
    }

    async fn start_as(program: &'static str, lines: &[&str]) -> Self {
        let redis = Self::begin(program, lines);
        redis.answers().await;
        redis
    }

    fn begin(program: &'static str, lines: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        let mut config = format!("bind 127.0.0.1\nport {port}\ndir {}\n", data.display());
        if program == "redis-server" {
            let socket = dir.path().join("redis.sock");
            config += &format!(
                "save \"\"\nunixsocket {}\nenable-debug-command yes\n",
                socket.display()
            );
        }
        for line in lines {
            config += line;
            config.push('\n');
        }
        fs::write(dir.path().join("redis.conf"), config).unwrap();
        Self {
            server: launch(program, &dir),
            program,
            dir,
            port,
            bus_port: None,
            admin: Vec::new(),
        }
    }

    /// Waits until it responds, even if with an error.
    pub async fn answers(&self) {
        eventually(self.program, START_LIMIT, || async {
            Some(self.cli(&["PING"]))
                .filter(|answer| !answer.contains("Could not connect") && !answer.is_empty())
        })
        .await;
    }

    /// Kills it, like a crash.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts it again with its configuration and data, on the same port.
    pub async fn restart(&mut self) {
        self.restart_only();
        self.answers().await;
    }

    /// Starts it again without waiting.
    pub fn restart_only(&mut self) {
        self.server.kill();
        self.server = launch(self.program, &self.dir);
    }

    /// Adds lines to the configuration that the next start reads.
    pub fn configure(&self, lines: &str) {
        let path = self.dir.path().join("redis.conf");
        let config = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("{config}\n{lines}\n")).unwrap();
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        self.server.signal(signal);
    }

    /// Sets the password that [`Self::cli`] uses.
    pub fn authenticate(&mut self, password: &str) {
        self.admin = vec!["--pass".to_owned(), password.to_owned()];
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A folder for files of the test. Its subfolder `data` contains the server's data.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// The URL with this text before the host (`:password@`, or nothing), and this database.
    pub fn url(&self, user: &str, database: u32) -> String {
        format!("redis://{user}127.0.0.1:{}/{database}", self.port)
    }

    /// The output of redis-cli for a command, including its errors.
    pub fn cli(&self, command: &[&str]) -> String {
        let output = self.cli_command(command).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).trim_end().to_owned()
    }

    /// A redis-cli command that is not started yet.
    pub fn cli_command(&self, command: &[&str]) -> Command {
        let mut cli = Command::new(tool("redis-cli", "redis-tools"));
        cli.arg("-p")
            .arg(self.port.to_string())
            .args(&self.admin)
            .arg("--no-auth-warning")
            .args(command);
        cli
    }

    /// Runs a command that must succeed.
    #[track_caller]
    pub fn ok(&self, command: &[&str]) {
        assert_eq!(self.cli(command), "OK", "{command:?}");
    }

    /// The number of clients, including replicas and sentinels, without the one that lists them.
    pub fn clients(&self) -> usize {
        let list = self.cli(&["CLIENT", "LIST"]);
        let lines: Vec<&str> = list.lines().filter(|line| line.starts_with("id=")).collect();
        assert!(!lines.is_empty(), "{list}");
        lines.iter().filter(|line| !line.contains("cmd=client")).count()
    }

    /// Waits until no client is left.
    pub async fn left(&self) {
        eventually("all clients gone", Duration::from_secs(5), || async {
            (self.clients() == 0).then_some(())
        })
        .await;
    }
}

fn launch(program: &'static str, dir: &TempDir) -> Server {
    let mut command = Command::new(tool(program, program));
    command.arg(dir.path().join("redis.conf"));
    Server::start(program, command, dir.path())
}
