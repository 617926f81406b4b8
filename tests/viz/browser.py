"""A real Chromium that tests ask over its DevTools protocol, in real time.

``chromium --dump-dom --virtual-time-budget`` looks simpler, but its virtual time may be spent before the last frame is
drawn: two pages of five then never say that they are ready, however large the budget.
"""

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
import websocket

from tests.waiting import wait_until

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine (apt-get install chromium)")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
]
SECONDS = 120  # for the start and for a page, each


class Page:
    """One page, asked in the commands of https://chromedevtools.github.io/devtools-protocol."""

    def __init__(self, address):
        self.socket = websocket.create_connection(address, timeout=SECONDS)
        self.numbers = itertools.count(1)

    def ask(self, method, **parameters):
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (answer := json.loads(self.socket.recv())).get("id") != number:
            pass  # an event
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def evaluate(self, expression):
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def text(self):
        return self.evaluate("document.documentElement.outerHTML")

    def screenshot(self):
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])


@contextmanager
def opened(address, folder):
    """The page at ``address``, 1400 × 900, once it says ``data-ready="true"``; profile and log go to ``folder``."""
    profile = Path(tempfile.mkdtemp(prefix="browser-", dir=folder))
    command = [BROWSER, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    with open(f"{profile}.log", "w") as log:
        browser = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        port_file = profile / "DevToolsActivePort"

        def port():
            assert browser.poll() is None, f"{BROWSER} ended with {browser.returncode}: see {profile}.log"
            lines = port_file.read_text().splitlines() if port_file.exists() else []
            return len(lines) == 2 and lines[0]

        listing = f"http://127.0.0.1:{wait_until(port, SECONDS)}/json/list"

        def target():
            with urllib.request.urlopen(listing, timeout=SECONDS) as answer:
                return [one["webSocketDebuggerUrl"] for one in json.load(answer) if one["type"] == "page"]

        page = Page(wait_until(target, SECONDS)[0])
        page.ask("Emulation.setDeviceMetricsOverride", width=1400, height=900, deviceScaleFactor=1, mobile=False)
        page.ask("Page.navigate", url=address)
        ready = f"location.href === {json.dumps(address)} && document.body?.dataset.ready === 'true'"
        wait_until(lambda: page.evaluate(ready), SECONDS)
        yield page
        page.socket.close()
    finally:
        browser.terminate()
        try:
            browser.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            browser.kill()
