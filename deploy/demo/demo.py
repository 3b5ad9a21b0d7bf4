#!/usr/bin/env -S python3 -B
"""Shows the way from a fault to a message: starts the exporter, Prometheus and Alertmanager with the shipped rules and
configurations, breaks a service, prints the message that arrives, repairs the service, and prints the recovery.

Usage: demo.py EXPORTER

Everything runs on free ports of this machine, in a temporary directory, until Ctrl-C. With DEMO_ONCE=1 it ends after the
recovery. The exporter also watches the services that it discovers on this machine, unless DEMO_DISCOVER=0. Needs only the
standard library of Python.
"""

import signal

# While Python imports modules there is nothing to clean up: Ctrl-C ends it without a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.parse

from channel import Channel
from servers import DemoError, Programs, free_port, request, request_json, require_tools

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVICE = "demo-shop"
# The services that the demo breaks, as they are in upkeep.yml.
BROKEN = [SERVICE, "demo-checkout"]
ALERT = "UpkeepServiceDown"
SUMMARY = "Web shop is down"
# They end the demo.
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
# Time to open the status page.
PAUSE_SECONDS = 5
# How long each step may take on a slow machine.
STEP_SECONDS = 120
# The limit for messages is longer: the tolerance (30 s), the Alertmanager's group_wait (10 s) and group_interval (30 s).
MESSAGE_SECONDS = 240
# URLs stay whole.
WRAPPER = textwrap.TextWrapper(110, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)


class Demo:
    """The steps of the demo. Each printed line starts with the time since the start."""

    def __init__(self, exporter, folder):
        self.exporter = pathlib.Path(exporter).resolve()
        self.folder = pathlib.Path(folder)
        self.programs = Programs(folder)
        self.began = time.monotonic()
        names = ["shop", "exporter", "prometheus", "alertmanager"]
        self.ports = {name: free_port() for name in names}
        self.urls = {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items()}

    def say(self, text):
        seconds = int(time.monotonic() - self.began)
        print(f"{seconds // 60:3}:{seconds % 60:02}  {text}", flush=True)

    def show(self, lines, mark):
        for line in lines:
            for part in WRAPPER.wrap(line) or [""]:
                print(f"        {mark}{part}", flush=True)

    def copy(self, path, **changes):
        """Copies a shipped file to the temporary directory, with the ports of the demo."""
        text = (ROOT / path).read_text()
        changes = {"127.0.0.1:9090": self.address("prometheus"), "127.0.0.1:9093": self.address("alertmanager"), **changes}
        for old, new in changes.items():
            text = text.replace(old, new)
        copy = self.folder / pathlib.Path(path).name
        copy.write_text(text)
        return copy

    def address(self, name):
        return f"127.0.0.1:{self.ports[name]}"

    def start_shop(self):
        self.programs.start(
            "shop", sys.executable, "-m", "http.server", self.ports["shop"],
            "--bind", "127.0.0.1", "--directory", self.folder / "shop",
        )  # fmt: skip

    def discover(self):
        """The arguments for a configuration of the services of this machine. Runs before the programs of the demo start."""
        if os.environ.get("DEMO_DISCOVER") == "0":
            return []
        path = self.folder / "discovered.yml"
        command = [self.exporter, "discover", "--write", path]
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=STEP_SECONDS)
        except subprocess.TimeoutExpired:
            self.say(f"The services of this machine are left out: discovery took more than {STEP_SECONDS} s")
            return []
        if result.returncode != 0:
            reason = (result.stderr.strip().splitlines() or [f"exit code {result.returncode}"])[0]
            self.say(f"The services of this machine are left out: {reason}")
            return []
        return [f"--config.file={path}"]

    def start(self, channel):
        """Starts all programs, and waits until the first results are in Prometheus."""
        discovered = self.discover()
        (self.folder / "shop").mkdir()
        for page in ["index.html", "checkout.html"]:
            (self.folder / "shop" / page).write_text("<!DOCTYPE html><title>Demo</title>\n")
        self.start_shop()
        config = self.copy("deploy/demo/upkeep.yml", **{" 8000": f" {self.ports['shop']}", ":8000": f":{self.ports['shop']}"})
        self.programs.start(
            "exporter", self.exporter, f"--config.file={config}", *discovered, "--control.socket=",
            f"--web.listen-address={self.address('exporter')}", f"--state.dir={self.folder / 'state'}",
        )  # fmt: skip
        config = self.copy(
            "deploy/prometheus/prometheus-1s.yml",
            **{"../../rules": str(ROOT / "rules"), "127.0.0.1:10100": self.address("exporter")},
        )
        self.programs.start(
            "prometheus", "prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={self.address('prometheus')}",
        )  # fmt: skip
        # The shipped file reads the URL of the webhook from the file slack_url. Its templates are next to it.
        (self.folder / "slack_url").write_text(channel.url)
        self.programs.start(
            "alertmanager", "prometheus-alertmanager", f"--config.file={ROOT / 'deploy/alertmanager/slack.yml'}",
            f"--storage.path={self.folder / 'alertmanager'}", f"--web.listen-address={self.address('alertmanager')}",
            "--cluster.listen-address=",
        )  # fmt: skip
        self.programs.wait_for("the Alertmanager", STEP_SECONDS, lambda: request(f"{self.urls['alertmanager']}/-/ready"))
        self.programs.wait_for("the shop to be up in Prometheus", STEP_SECONDS, self.is_scraped)

    def is_scraped(self):
        query = urllib.parse.quote("min(upkeep_service_status{service=~'demo-.+', status='up'}) == 1")
        document = request_json(f"{self.urls['prometheus']}/api/v1/query?query={query}")
        return document and document["data"]["result"]

    def status(self):
        """The status of the service, as the page shows it."""
        document = request_json(f"{self.urls['exporter']}/api/status/{SERVICE}")
        return document and document["status"]

    def fires(self):
        """Whether the alert fires in Prometheus."""
        document = request_json(f"{self.urls['prometheus']}/api/v1/alerts")
        alerts = document["data"]["alerts"] if document else []
        return any(
            alert["state"] == "firing" and (alert["labels"]["alertname"], alert["labels"].get("service")) == (ALERT, SERVICE)
            for alert in alerts
        )

    def show_status(self):
        command = [self.exporter, "status", f"--url={self.urls['exporter']}", "--color=never", *BROKEN]
        table = subprocess.run(command, capture_output=True, text=True, timeout=STEP_SECONDS).stdout
        print(textwrap.indent(table.rstrip(), "        "), flush=True)

    def message(self, channel, resolved):
        """Waits for the message about the service, and prints every message that arrives."""

        def arrived():
            message = channel.next()
            if message is None:
                return None
            is_expected = message.is_about(ALERT, SUMMARY) and message.is_resolved == resolved
            if not is_expected:
                self.say("A message about something else arrives:")
                self.show(message.lines(), "│ ")
            return is_expected and message

        what = "the message about the recovery" if resolved else "the message"
        return self.programs.wait_for(what, MESSAGE_SECONDS, arrived)

    def run(self, channel):
        """Runs all steps, and prints each one."""
        print(f"Status page    {self.urls['exporter']}/\nPrometheus     {self.urls['prometheus']}/alerts")
        print(f"Alertmanager   {self.urls['alertmanager']}/\nLogs           {self.folder}\n", flush=True)
        self.start(channel)
        self.say("All services of the demo are up. Open the status page.")
        time.sleep(PAUSE_SECONDS)

        self.say("The demo kills the web server of the shop.")
        fault = time.monotonic()
        self.programs.kill("shop")
        self.programs.wait_for("the shop to be down", STEP_SECONDS, lambda: self.status() == "down")
        on_page = time.monotonic() - fault
        self.say(f"The status page shows it, {on_page:.1f} s after the fault. `upkeep_exporter status` prints the same:")
        self.show_status()
        self.say("The alert fires when the shop has been down for its tolerance, 30 s.")
        self.programs.wait_for("the alert", STEP_SECONDS, self.fires)
        self.say(f"The alert {ALERT} fires, {time.monotonic() - fault:.1f} s after the fault.")
        message = self.message(channel, resolved=False)
        to_message = message.at - fault
        self.say(f"A message arrives, {to_message:.1f} s after the fault:")
        self.show(message.lines(), "│ ")

        self.say("The demo starts the web server again.")
        repair = time.monotonic()
        self.start_shop()
        self.programs.wait_for("the shop to be up", STEP_SECONDS, lambda: self.status() == "up")
        up_on_page = time.monotonic() - repair
        self.say(f"The status page shows it, {up_on_page:.1f} s after the repair.")
        message = self.message(channel, resolved=True)
        self.say(f"A message arrives, {message.at - repair:.1f} s after the repair:")
        self.show(message.lines(), "│ ")
        print(
            f"\nFrom the fault to the status page {on_page:.1f} s, to the message {to_message:.1f} s."
            f"\nFrom the repair to the status page {up_on_page:.1f} s, to the message {message.at - repair:.1f} s."
            "\nYour own channel: write the URL of its webhook to slack_url, see docs/TUTORIAL.md.",
            flush=True,
        )

    def keep_running(self, channel):
        """Prints messages until Ctrl-C."""
        print("\nEverything runs until Ctrl-C.", flush=True)
        while True:
            message = channel.next()
            if message:
                self.say("A message arrives:")
                self.show(message.lines(), "│ ")
            self.programs.require_all()
            time.sleep(0.5)


def ignore_signals():
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def interrupt(*_):
    # A second Ctrl-C must not stop the clean-up.
    ignore_signals()
    raise KeyboardInterrupt


def main():
    if len(sys.argv) != 2 or not os.access(sys.argv[1], os.X_OK):
        sys.exit("usage: demo.py EXPORTER, such as target/release/upkeep_exporter; or run `make demo`")
    folder = demo = None
    try:
        # Also SIGINT: a shell that starts the demo in the background lets it ignore this signal.
        for number in SIGNALS:
            signal.signal(number, interrupt)
        require_tools()
        folder = tempfile.mkdtemp(prefix="upkeep-demo-")
        demo = Demo(sys.argv[1], folder)
        channel = Channel()
        demo.run(channel)
        if os.environ.get("DEMO_ONCE") != "1":
            demo.keep_running(channel)
    except DemoError as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        print("\nEnding the demo.", flush=True)
    finally:
        ignore_signals()
        if demo:
            demo.programs.stop_all()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
