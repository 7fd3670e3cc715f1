"""A headless Chromium, driven over its driver's own protocol, without a package for it."""

import base64
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip
STARTED = "was started successfully on port "
PATIENCE_SECONDS = 60


def missing() -> str | None:
    """What a look at a page lacks on this machine; None where nothing is."""
    if not any(map(shutil.which, BROWSERS)):
        return "no Chromium is installed"
    return None if shutil.which("chromedriver") else "no chromedriver is installed"


class Browser:
    """One tab of the browser."""

    def __init__(self, address: str) -> None:
        self._address = address

    def open(self, file: Path) -> None:
        """Open a file from disk."""
        self.ask("url", {"url": file.resolve().as_uri()})

    def resize(self, width: int, height: int = 900, scheme: str = "light") -> None:
        """Set the size of the window, and the colour scheme that its owner prefers."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.devtools("Emulation.setEmulatedMedia", {"features": [feature]})

    def run(self, script: str) -> Any:
        """What a script returns in the page."""
        return self.ask("execute/sync", {"script": script, "args": []})

    def errors(self) -> list[str]:
        """What the console warned of since it was asked last."""
        entries = self.ask("se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def picture(self, file: Path) -> None:
        """Write a picture of the whole page."""
        taken = self.devtools("Page.captureScreenshot", {"captureBeyondViewport": True})
        file.write_bytes(base64.b64decode(taken["data"]))

    def devtools(self, command: str, parameters: dict[str, Any]) -> Any:
        """Give a command of the DevTools protocol."""
        return self.ask("goog/cdp/execute", {"cmd": command, "params": parameters})

    def ask(self, command: str, body: dict[str, Any]) -> Any:
        """Give a command of the WebDriver protocol."""
        return post(f"{self._address}/{command}", body)


def post(address: str, body: dict[str, Any], method: str = "POST") -> Any:
    """Send a command to the driver; raises RuntimeError with what it answers to a wrong one."""
    request = urllib.request.Request(
        address,
        json.dumps(body).encode() if method == "POST" else None,
        {"Content-Type": "application/json"},
        method=method,
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PATIENCE_SECONDS) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise RuntimeError(error.read().decode()) from error


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with an empty profile in the folder, closed at the end."""
    binary = next(path for path in map(shutil.which, BROWSERS) if path)
    log = folder / "driver.log"
    with log.open("w", encoding="utf-8") as output:
        driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        server = f"http://127.0.0.1:{_port(log)}/session"
        options = {
            "binary": binary,
            "args": [*FLAGS, f"--user-data-dir={folder / 'profile'}"],
        }
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        session = post(server, {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        try:
            yield Browser(f"{server}/{session}")
        finally:
            post(f"{server}/{session}", {}, "DELETE")
    finally:
        driver.terminate()
        driver.wait()


def _port(log: Path) -> int:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        told = log.read_text(encoding="utf-8")
        if STARTED in told:
            return int(told.rpartition(STARTED)[2].split(".")[0])
        time.sleep(0.05)
    raise RuntimeError(f"chromedriver did not start: {log.read_text(encoding='utf-8')}")
