//! Debian's podman as a container engine. It serves the Docker Engine API at a Unix socket. Its storage, its image (only
//! busybox) and its containers are in a temporary directory, and are removed at the end.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::servers::{Server, eventually, tool};

/// How long an operation of podman may take on a busy machine.
const LONG: Duration = Duration::from_secs(20);
/// See [`Podman::run_with_late_restart`].
pub const RESTART_DELAY: Duration = Duration::from_secs(8);
/// The commands in the image.
const COMMANDS: [&str; 6] = ["sh", "sleep", "cat", "touch", "rm", "httpd"];

/// A container engine.
pub struct Podman {
    /// The process that serves the API. Tests kill and restart it.
    pub server: Server,
    dir: TempDir,
}

impl Podman {
    /// Starts an engine without containers.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        import_image(dir.path());
        let server = Self::serve(dir.path());
        let podman = Self { server, dir };
        podman.is_serving().await;
        podman
    }

    fn serve(dir: &Path) -> Server {
        let socket = dir.join("api.sock");
        let _ = fs::remove_file(&socket);
        let mut command = command(dir);
        command.args(["system", "service", "--time=0"]);
        command.arg(format!("unix://{}", socket.display()));
        Server::start("podman", command, dir)
    }

    async fn is_serving(&self) {
        eventually("podman listens", LONG, || async {
            tokio::net::UnixStream::connect(self.socket()).await.ok()
        })
        .await;
    }

    /// Starts the API again after a kill.
    pub async fn serve_again(&mut self) {
        self.server = Self::serve(self.dir.path());
        self.is_serving().await;
    }

    /// The path of the API's socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("api.sock")
    }

    /// The number of clients connected to the engine, from the kernel's list: the server's end of a connection has the path of
    /// the socket, and the state 03 (`SS_CONNECTED`).
    pub fn connections(&self) -> usize {
        let (list, path) = (fs::read_to_string("/proc/net/unix").unwrap(), self.socket());
        let ends = list.lines().filter(|line| line.ends_with(path.to_str().unwrap()));
        ends.filter(|line| line.split(' ').nth(5) == Some("03")).count()
    }

    /// Waits until this many clients are connected.
    pub async fn has_connections(&self, wanted: usize) {
        let what = format!("{wanted} connections");
        eventually(&what, LONG, || async {
            (self.connections() == wanted).then_some(())
        })
        .await;
    }

    /// The keys of a docker check of this container, as a flow mapping.
    pub fn keys(&self, container: &str) -> String {
        format!(
            "kind: docker, container: {container}, host: \"unix://{}\"",
            self.socket().display()
        )
    }

    /// Runs a command of podman independently of the API, and returns its output.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let output = command(self.dir.path()).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "podman {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs a container with these options of `podman run`, in which a shell runs `script`. Returns its id.
    pub fn run(&self, name: &str, options: &[&str], script: &str) -> String {
        let arguments = self.run_arguments(name, options, script);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.cli(&arguments)
    }

    /// Like [`Self::run`]. After the container's first end, its restart policy takes [`RESTART_DELAY`] to start it again: podman starts
    /// it with the program that created it, which is replaced by one that waits.
    pub fn run_with_late_restart(&self, name: &str, options: &[&str], script: &str) {
        let dir = self.dir.path();
        let (program, once, new) = (dir.join("podman"), dir.join("wait-once"), dir.join("podman.new"));
        let real = tool("podman", "podman");
        fs::copy(&real, &program).unwrap();
        let arguments = self.run_arguments(name, options, script);
        let output = podman_as(&program, dir).args(arguments).output().unwrap();
        assert!(output.status.success(), "podman run: {output:?}");
        fs::write(&once, "").unwrap();
        let waiting = format!(
            "#!/bin/sh\nrm {} 2>/dev/null && sleep {}\nexec {} \"$@\"\n",
            once.display(),
            RESTART_DELAY.as_secs(),
            real.display()
        );
        fs::write(&new, waiting).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&new, &program).unwrap();
    }

    fn run_arguments(&self, name: &str, options: &[&str], script: &str) -> Vec<String> {
        let limits = ["--ulimit", "nofile=20000:20000", "--ulimit", "nproc=4096:4096"];
        let parent = format!("--cgroup-parent={}", cgroup(self.dir.path()));
        let mut arguments = vec!["run", "--detach", "--network=none", "--name", name, &parent];
        arguments.extend(limits);
        arguments.extend(options);
        arguments.extend(["upkeep-test", "/bin/sh", "-c", script]);
        arguments.into_iter().map(str::to_owned).collect()
    }

    /// Runs a container with a health check that passes while the container has the file `/healthy`.
    pub fn run_with_health(&self, name: &str) {
        let options = [
            "--health-cmd=cat /healthy",
            // Timers of systemd would run it. Here, `probe` does.
            "--health-interval=disable",
            "--health-retries=1",
        ];
        self.run(name, &options, "sleep 1000");
    }

    /// Makes the health check of a container pass or fail, and runs it.
    pub fn probe(&self, name: &str, is_healthy: bool) {
        match is_healthy {
            true => self.cli(&["exec", name, "/bin/touch", "/healthy"]),
            false => self.cli(&["exec", name, "/bin/rm", "-f", "/healthy"]),
        };
        // The exit code is the result of the health check.
        let output = command(self.dir.path())
            .args(["healthcheck", "run", name])
            .output()
            .unwrap();
        assert_eq!(output.status.success(), is_healthy, "{output:?}");
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = command(self.dir.path())
            .args(["rm", "--force", "--all", "--time=0"])
            .output();
        self.server.kill();
        let here = self.dir.path().to_str().unwrap();
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let left: Vec<&str> = mounts.lines().filter(|line| line.contains(here)).collect();
        remove_cgroups(self.dir.path());
        if !std::thread::panicking() {
            assert!(left.is_empty(), "mounts are left: {left:?}");
        }
    }
}

/// podman with all its data in `dir`, and with `dir` as working directory, because conmon leaves a file there.
pub fn command(dir: &Path) -> Command {
    podman_as(&tool("podman", "podman"), dir)
}

/// Like [`command`], with another path of the program.
fn podman_as(program: &Path, dir: &Path) -> Command {
    tool("runc", "runc");
    let mut command = Command::new(program);
    for (flag, folder) in [("root", "root"), ("runroot", "runroot"), ("tmpdir", "tmp")] {
        command.arg(format!("--{flag}={}", dir.join(folder).display()));
    }
    command
        .args(["--runtime=runc", "--storage-driver=vfs"])
        .args(["--cgroup-manager=cgroupfs", "--events-backend=none"])
        .current_dir(dir);
    command
}

/// Imports an image with only busybox.
pub fn import_image(dir: &Path) {
    let (image, busybox) = (dir.join("image"), tool("busybox", "busybox-static"));
    fs::create_dir_all(image.join("bin")).unwrap();
    fs::copy(busybox, image.join("bin/busybox")).unwrap();
    for command in COMMANDS {
        symlink("busybox", image.join("bin").join(command)).unwrap();
    }
    let mut tar = Command::new(tool("tar", "tar"))
        .arg("-C")
        .arg(&image)
        .args(["-c", "."])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = command(dir)
        .args(["import", "-", "upkeep-test"])
        .stdin(tar.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(tar.wait().unwrap().success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "podman import: {said}");
}

/// The cgroup of the containers of the engine in `dir`.
pub fn cgroup(dir: &Path) -> String {
    format!("/upkeep{}", dir.file_name().unwrap().to_str().unwrap())
}

/// Removes cgroups. They briefly outlive their processes, and conmon briefly outlives its container.
pub fn remove_cgroups(dir: &Path) {
    let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    let roots = hierarchies
        .map(|entry| entry.path())
        .chain([PathBuf::from("/sys/fs/cgroup")]);
    let groups: Vec<PathBuf> = roots
        .map(|root| root.join(&cgroup(dir)[1..]))
        .filter(|group| group.is_dir())
        .collect();
    let begun = Instant::now();
    while groups.iter().any(|group| !is_removed(group)) && begun.elapsed() < LONG {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_removed(group: &Path) -> bool {
    let inner = fs::read_dir(group).into_iter().flatten().flatten();
    for entry in inner.filter(|entry| entry.path().is_dir()) {
        is_removed(&entry.path());
    }
    let _ = fs::remove_dir(group);
    !group.exists()
}
