"""A local replacement for Slack: receives the Alertmanager's messages and prints them as a person would read them."""

import http.server
import json
import queue
import re
import threading
import time

# A message of the Alertmanager is much smaller.
MAX_BODY = 1024 * 1024


class Message:
    """One message, with the time of its arrival."""

    def __init__(self, body):
        self.at = time.monotonic()
        attachment = body["attachments"][0]
        self.title = attachment["title"]
        self.text = attachment["text"]
        self.is_resolved = self.title.startswith("[RESOLVED]")

    def is_about(self, alert, summary):
        """Whether it is about this alert with a summary that begins so."""
        return alert in self.text and summary in self.text

    def lines(self):
        """The lines that a person reads: without Slack's marks for emoji, bold text and links."""
        text = re.sub(r":\w+: ", "", self.text)
        text = re.sub(r"\*(\w+)\*", r"\1", text)
        text = re.sub(r"<([^|>]+)\|([^>]+)>", r"\2: \1", text)
        return [self.title, *text.strip().splitlines()]


class Channel:
    """The receiver. It listens on a free port of the loopback address."""

    def __init__(self):
        messages = queue.Queue()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                length = min(int(self.headers.get("Content-Length", 0)), MAX_BODY)
                try:
                    messages.put(Message(json.loads(self.rfile.read(length))))
                except (ValueError, LookupError, TypeError):
                    self.send_error(400, "not a message for Slack")
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_):
                pass

        self.messages = messages
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self):
        """The next message, or None if there is none yet."""
        try:
            return self.messages.get_nowait()
        except queue.Empty:
            return None
