"""The programs of the demo: free ports, processes that end with the demo, and requests to them."""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

# The kernel gives none of these ports to clients (net.ipv4.ip_local_port_range starts at 32768).
PORTS = range(10_240, 32_768)
# How long a program may take to end after SIGTERM. Prometheus writes its data then.
END_SECONDS = 10
REQUEST_SECONDS = 5
# How much of a program's output explains a failure.
LOG_LINES = 15
PACKAGES = {
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "setpriv": "util-linux",
}


class DemoError(Exception):
    """What went wrong and what to do, for people."""


def require_tools():
    """Fails with the command that installs the tools that are missing."""
    missing = sorted(package for tool, package in PACKAGES.items() if not shutil.which(tool))
    if missing:
        raise DemoError(
            f"these Debian packages are missing: {' '.join(missing)}: run `make setup` as root, or "
            f"`apt-get install --no-install-recommends {' '.join(missing)}`"
        )


def free_port():
    """A TCP port of the loopback address on which nothing listens."""
    for port in random.sample(PORTS, 100):
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise DemoError("found no free port on 127.0.0.1")


def request(url):
    """The body of a response, or None if there is none."""
    try:
        # Without the proxies of the environment: all programs are on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=REQUEST_SECONDS) as response:
            return response.read()
    except (OSError, urllib.error.HTTPError):
        return None


def request_json(url):
    """The JSON document in a response, or None."""
    body = request(url)
    return None if body is None else json.loads(body)


class Programs:
    """The running programs. Each writes its output to a file of `folder`."""

    def __init__(self, folder):
        self.folder = folder
        self.running = {}

    def start(self, name, *command):
        """Starts a program in a session of its own, so that Ctrl-C does not reach it before the demo ends it."""
        with open(self.log(name), "ab") as log:
            self.running[name] = subprocess.Popen(
                # The kernel ends it if the demo is killed.
                ["setpriv", "--pdeathsig", "TERM", *map(str, command)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def log(self, name):
        return os.path.join(self.folder, f"{name}.log")

    def kill(self, name):
        """Kills a program at once, as a crash would."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def require_all(self):
        """Fails if a program has ended."""
        for name, process in self.running.items():
            if process.poll() is not None:
                raise DemoError(f"{name} ended with code {process.returncode}{self.end_of_log(name)}")

    def end_of_log(self, name):
        with open(self.log(name), errors="replace") as log:
            return f"\nthe end of the output of {name}:\n{''.join(log.readlines()[-LOG_LINES:])}"

    def wait_for(self, what, seconds, ready):
        """Calls `ready` until it returns something true, and returns that."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.require_all()
            result = ready()
            if result:
                return result
            time.sleep(0.1)
        logs = "".join(self.end_of_log(name) for name in self.running)
        raise DemoError(f"waited {seconds} s for {what}{logs}")

    def stop_all(self):
        """Ends all programs, the last one first."""
        for process in reversed(self.running.values()):
            process.terminate()
        end = time.monotonic() + END_SECONDS
        for name, process in self.running.items():
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                print(f"demo: {name} does not end, killing it", file=sys.stderr)
                process.kill()
                process.wait()
        self.running.clear()
