"""The page of a search that is under way, in a browser on this machine, and kept up to date there."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

from lightcnn.errors import UserError
from search.execution.display import log_line
from search.report.html import plotly_beside
from search.report.page import open_page

POLL_SECONDS = 3.0  # between two questions of the page in the browser
LEAST_SECONDS = 5.0  # between two makings of the page
SHARE = 1 / 80  # of a core: what they take; with the questions it stays below a second a minute
HOST = "127.0.0.1"
NO_PAGE = '"none"'  # an ETag
WAITING = (
    "<!doctype html><meta charset=utf-8><title>A search</title><body><p>No run has ended yet.</p></body>"
)


class LivePage:
    """A study's page, made anew when a reader asks, something has changed, and it is time.

    Args:
        page: the file that `make` writes.
        sources: what it is made of; a file among them that is new makes it old.
        make: writes the page; called in any thread, but only one at a time.
    """

    def __init__(self, page: Path, sources: Sequence[Path], make: Callable[[], None]) -> None:
        self.page, self._sources, self._make = page, sources, make
        self._lock = threading.Lock()
        self._made_of: list[int] = []  # when the sources were written
        self._due_at = self._asked_at = -float("inf")  # on the monotonic clock
        self._shown = ""  # the ETag of what the reader was given last
        self._is_final = False

    @property
    def etag(self) -> str:
        """Of the page in the file."""
        if not self.page.exists():
            return NO_PAGE
        now = self.page.stat()  # a new page is a new file, whatever the clock's grain
        return f'"{now.st_ino:x}-{now.st_mtime_ns:x}"'

    def refresh(self) -> None:
        """Make the page anew if it is due."""
        with self._lock:
            written = [path.stat().st_mtime_ns for path in self._sources if path.exists()]
            self._asked_at = time.monotonic()
            if self._is_final or written == self._made_of or self._asked_at < self._due_at:
                return
            began = time.thread_time()
            with suppress(UserError):  # of a file that is being written; it is read again
                self._make()
                self._made_of = written
            self._due_at = time.monotonic() + max((time.thread_time() - began) / SHARE, LEAST_SECONDS)

    def content(self) -> tuple[str, bytes]:
        """What the reader is given: its ETag, and the page with what looks for the next one."""
        etag = self.etag
        html = WAITING if etag == NO_PAGE else self.page.read_text(encoding="utf-8")
        known = {"etag": etag, "milliseconds": 1000 * POLL_SECONDS, "page": str(self.page)}
        script = (files("search.report") / "templates" / "live.html").read_text(encoding="utf-8")
        script = script.replace("KNOWN", json.dumps(known).replace("<", "\\u003c"))
        before, end, after = html.rpartition("</body>")
        self._shown = etag
        return etag, f"{before}{script}{end}{after}".encode()

    def finish(self) -> None:
        """Make it no more: who calls this writes the last page, and no other thread does any longer."""
        with self._lock:
            self._is_final = True

    def wait_for_reader(self) -> None:
        """Wait some seconds, if a browser has the page open, until that has the last one."""
        until = self._asked_at + 4 * POLL_SECONDS
        while self._shown != self.etag and time.monotonic() < until:
            time.sleep(0.1)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10  # seconds, for a browser that opens a connection and says nothing

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def _answer(self, with_content: bool) -> None:
        live, plotly = self.server.live, self.server.plotly
        # A page from elsewhere whose name was made to lead here must not read what is here.
        if self.headers.get("Host", "").rpartition(":")[0] not in (HOST, "localhost"):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
        elif self.path == "/":
            live.refresh()
            etag, content = live.content() if with_content else (live.etag, b"")
            self._send("text/html; charset=utf-8", content, {"ETag": etag, "Cache-Control": "no-store"})
        elif self.path == f"/{plotly.name}" and plotly.exists():
            content = plotly.read_bytes() if with_content else b""
            self._send("text/javascript; charset=utf-8", content, {"Cache-Control": "max-age=86400"})
        else:
            self.send_error(HTTPStatus.NOT_FOUND, explain="Only the page of the study is served.")

    def _send(self, kind: str, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(HTTPStatus.OK)
        for name, value in ({"Content-Type": kind, "Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing, as the terminal shows the search."""


class _Server(ThreadingHTTPServer):
    def __init__(self, live: LivePage, plotly: Path) -> None:
        super().__init__((HOST, 0), _Handler)
        self.live, self.plotly = live, plotly

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A traceback, but not of a browser that went away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def served(live: LivePage) -> Iterator[str]:
    """Serve the page at the address that is yielded, and open it in the user's browser.

    Only this machine reaches it, and only the page and the Plotly that it loads. When the block is left, a
    browser that has the page open is given the last one; an exception ends it at once.
    """
    plotly = live.page.parent / plotly_beside(live.page.parent)
    server = _Server(live, plotly)
    address = f"http://{HOST}:{server.server_port}/"
    threading.Thread(target=server.serve_forever, name="page", daemon=True).start()
    log_line(f"the page, while the search runs: {address}")
    threading.Thread(
        target=open_page, args=[address], name="browser", daemon=True
    ).start()  # may take its time
    try:
        yield address
        live.wait_for_reader()
    finally:
        server.shutdown()
        server.server_close()
