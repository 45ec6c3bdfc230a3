"""A real browser without a screen, and what a page does in it: Chromium, from Debian.

It is spoken to over a pipe, in Chrome's DevTools protocol: JSON, with a NUL behind each message
(``--remote-debugging-pipe``).
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from support.tools.debian import (
    OUTPUT_TAIL,
    FixtureError,
    cached,
    own_suites,
    unpack_with_libraries,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE: Final = "chromium-headless-shell"
#: What it depends on and does not need to be started: the C library is the machine's.
NOT_NEEDED: Final = ("libc6", "x11-utils", "xdg-utils", "debconf")
FLAGS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-quic", "--no-first-run"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe"),
)
#: Seconds after which it is taken to hang.
PATIENCE: Final = 60
#: Becomes a program that reads from descriptor 3 and writes to descriptor 4.
START: Final = """\
import fcntl, os, sys
high = [fcntl.fcntl(int(word), fcntl.F_DUPFD, 10) for word in sys.argv[1:3]]
for there, here in zip((3, 4), high):
    os.dup2(here, there)
os.execv(sys.argv[3], sys.argv[3:])
"""


def chromium(cache: Path) -> Path:
    """Return the folder of Chromium and of all that it loads, for this machine."""
    suites = own_suites()
    folder = cache / f"{PACKAGE}-{'-'.join(suites.values())}"
    return cached(folder, lambda empty: unpack_with_libraries(PACKAGE, suites, empty, NOT_NEEDED))


class Browser:
    """One browser with one page."""

    def __init__(self, root: Path, profile: Path) -> None:
        libraries = root / "usr/lib/x86_64-linux-gnu"
        folders = (libraries, root / "lib/x86_64-linux-gnu", libraries / "pulseaudio")
        environ = {
            **os.environ,
            "LD_LIBRARY_PATH": os.pathsep.join(map(str, folders)),
            "FONTCONFIG_SYSROOT": str(root),
            **dict.fromkeys(("HOME", "TMPDIR"), str(profile)),
        }
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        path = str(root / f"usr/lib/chromium/{PACKAGE}")
        program = [path, *FLAGS, f"--user-data-dir={profile}"]
        self._log = profile / "stderr"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", START, str(to_read), str(to_write), *program],
                env=environ,
                pass_fds=(to_read, to_write),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        os.close(to_read)
        os.close(to_write)
        self._data, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        """What the browser has told of the page since it was opened."""

    def begin(self) -> None:
        """Open an empty page, which all that follows is about."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._data:
            ready, _, _ = select.select([self._read], [], [], PATIENCE)
            data = os.read(self._read, 1 << 20) if ready else b""
            if not data:
                tail = self._log.read_text("utf-8", "replace")[-OUTPUT_TAIL:]
                raise FixtureError(f"{PACKAGE}: says nothing; see whether it starts here\n{tail}")
            self._data += data
        line, _, self._data = self._data.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def open(self, page: Path, width: int, *, dark: bool = False, height: int = 900) -> None:
        """Open a page in a window of that width, in pixels, and wait until it is loaded."""
        sizes = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.call("Emulation.setDeviceMetricsOverride", **sizes, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.call("Page.navigate", url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def value(self, expression: str) -> Any:  # noqa: ANN401 - whatever JSON can say
        """Return what an expression of JavaScript comes to on the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def told(self, method: str) -> list[dict[str, Any]]:
        """Return the events of one kind since the page was opened."""
        self.value("0")  # what came before has been told then
        return [event["params"] for event in self.events if event["method"] == method]

    def picture(self) -> bytes:
        """Return the whole page as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def end(self) -> None:
        """Close the browser."""
        os.close(self._write)
        os.close(self._read)
        self.process.terminate()
        self.process.wait(PATIENCE)


@contextlib.contextmanager
def browser(cache: Path) -> Iterator[Browser]:
    """Give a browser that nobody has used."""
    root = chromium(cache)
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        started = Browser(root, Path(profile))
        try:
            started.begin()
            yield started
        finally:
            started.end()
