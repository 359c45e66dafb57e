"""The page of a search, served while it runs."""

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import psutil
import pytest

from lightcnn.errors import UserError
from search.report import serve
from search.report.serve import LivePage, served
from search.storage import write_whole

SHARE = serve.SHARE  # as a search has it
PAGE = "<html><body><h1>{}</h1><script>'</body>'</script></body></html>"


class Study:
    """A page that `make` writes of one source, and how often it did."""

    def __init__(self, folder):
        self.page, self.source, self.made = folder / "study" / "report.html", folder / "study" / "journal", 0
        self.page.parent.mkdir()
        self.grow()
        self.live = LivePage(self.page, [self.source, folder / "not there"], self.make)

    def make(self):
        self.made += 1
        write_whole(self.page, PAGE.format(f"page {self.made}"))

    def grow(self):
        self.source.write_text("more")
        os.utime(self.source, ns=(time.time_ns(), time.time_ns()))


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(serve, "open_page", lambda address: None)
    monkeypatch.setattr(serve, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(serve, "SHARE", float("inf"))
    monkeypatch.setattr(serve, "POLL_SECONDS", 0.2)
    return Study(tmp_path)


def get(address, method="GET", **headers):
    """Status, headers and text of the answer."""
    request = urllib.request.Request(address, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        error.close()  # its connection; else a later test is told that it was left open
        raise


def test_the_page_follows_what_it_is_made_of(study):
    with served(study.live) as address:
        assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+/", address)
        _, first, text = get(address)
        assert "<h1>page 1</h1>" in text and first["Content-Type"] == "text/html; charset=utf-8"
        assert get(address, "HEAD")[1]["ETag"] == first["ETag"] and study.made == 1  # nothing is new
        study.grow()
        status, headers, text = get(address, "HEAD")
        assert (status, text) == (200, "") and headers["ETag"] != first["ETag"] and study.made == 2
        assert get(address)[1]["ETag"] == headers["ETag"] and study.made == 2
        assert "<h1>page 2</h1>" in get(address)[2]
    with pytest.raises(urllib.error.URLError):
        get(address)


def test_what_looks_for_the_next_page_is_not_in_the_file(study):
    with served(study.live) as address:
        _, headers, text = get(address)
    assert study.page.read_text() == PAGE.format("page 1")
    script = text.removeprefix(
        "<html><body><h1>page 1</h1><script>'</body>'</script>"
    )  # before the last </body>
    assert script != text and script.endswith("</script>\n</body></html>")
    assert headers["ETag"].strip('"') in script and str(study.page) in script


def test_before_the_first_run_has_ended_a_page_waits(study, monkeypatch):
    study.live._make = lambda: None  # as nothing is finished
    with served(study.live) as address:
        _, headers, text = get(address)
        assert headers["ETag"] == '"none"' and "No run has ended yet." in text and "location.reload()" in text


def test_nothing_else_is_served_and_nobody_else_asks(study):
    (study.page.parent / "settings.json").write_text("{}")
    (study.page.parent.parent / "other.js").write_text("")
    with served(study.live) as address:
        port = int(address.rstrip("/").rpartition(":")[2])
        [listening] = [it for it in psutil.Process().net_connections() if it.laddr and it.laddr.port == port][
            :1
        ]
        assert listening.laddr.ip == "127.0.0.1"
        paths = ["settings.json", "study/report.html", "../other.js", "other.js", "?", "%2e%2e/other.js"]
        for path in paths:
            with pytest.raises(urllib.error.HTTPError) as caught:
                get(address + path)
            assert caught.value.code == 404, path
        for host in ("evil.example", f"evil.example:{port}", "", "127.0.0.1.evil.example:80"):
            with pytest.raises(urllib.error.HTTPError) as caught:
                get(address, Host=host)
            assert caught.value.code == 421, host
        assert get(address, Host=f"localhost:{port}")[0] == 200  # as a tunnel has it
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(address, "POST")
        assert caught.value.code == 501
        [plotly] = study.page.parent.parent.glob("plotly-*.min.js")
        assert get(address + plotly.name)[2] == plotly.read_text(encoding="utf-8")


def test_making_pages_takes_a_second_of_a_core_a_minute(study, monkeypatch):
    clock, spent = 1_000.0, 0.0

    def make():
        nonlocal spent
        spent += 0.8
        study.made += 1

    monkeypatch.setattr(serve, "LEAST_SECONDS", 5.0)
    monkeypatch.setattr(serve, "SHARE", SHARE)
    monkeypatch.setattr(serve.time, "monotonic", lambda: clock)
    monkeypatch.setattr(serve.time, "thread_time", lambda: spent)
    study.live._make = make
    for _ in range(1_200):  # an hour, the page asking every 3 seconds, and always something new
        study.grow()
        study.live.refresh()
        clock += 3
    assert 40 < spent <= 60
    spent, study.made = 0.0, 0
    study.live._make = lambda: setattr(study, "made", study.made + 1)  # costs nothing
    for _ in range(120):
        study.grow()
        study.live.refresh()
        clock += 1
    assert 18 <= study.made <= 24


def test_a_file_that_is_half_written_leaves_the_page_as_it_was(study):
    def broken():
        raise UserError("the journal is damaged")

    with served(study.live) as address:
        before = get(address)
        study.grow()
        study.live._make = broken
        assert get(address)[2] == before[2]
        study.live._make = study.make
        assert "page 2" in get(address)[2]  # and it is tried again


def test_a_fault_is_told_and_the_search_goes_on(study, capsys):
    with served(study.live) as address:
        study.live._make = lambda: 1 / 0
        with pytest.raises((urllib.error.URLError, http.client.HTTPException, ConnectionError)):
            get(address)
        study.live._make = study.make
        assert get(address)[0] == 200
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_browser_that_says_nothing_holds_nobody_up(study):
    with served(study.live) as address:
        silent = http.client.HTTPConnection(address.split("/")[2])
        silent.connect()
        assert get(address)[0] == 200
        silent.close()


def test_the_last_page_reaches_a_reader_and_is_not_made_over(study):
    seen = []

    def read(address):
        with pytest.raises(OSError):
            while True:
                if (etag := get(address, "HEAD")[1]["ETag"]) not in seen:
                    seen.append(etag)
                    seen.append(get(address)[2])
                time.sleep(0.2)

    with served(study.live) as address:
        reader = threading.Thread(target=read, args=[address])
        reader.start()
        while len(seen) < 2:
            time.sleep(0.05)
        study.live.finish()
        write_whole(study.page, PAGE.format("the last"))
        study.grow()
    reader.join(10)
    assert "the last" in seen[-1] and study.made == 1


@pytest.mark.parametrize("asked", [True, False])
def test_without_a_reader_nobody_waits(study, asked):
    with served(study.live) as address:
        if asked:
            get(address)
            write_whole(study.page, PAGE.format("the last"))
        began = time.monotonic()
    assert time.monotonic() - began < 4 * serve.POLL_SECONDS + 2 * asked + 0.8


@pytest.mark.slow
def test_a_browser_shows_the_next_page_unless_its_reader_is_busy(browser, study):
    with served(study.live) as address:
        page = browser.new_page()
        page.goto(address)
        assert page.locator("h1").text_content() == "page 1"
        assert "The search goes on" in page.locator("#live").text_content()
        study.grow()
        page.wait_for_selector("h1:text('page 2')", timeout=60_000)
        page.mouse.move(10, 10)
        page.mouse.move(20, 20)
        study.grow()
        page.wait_for_selector("#live:text('new results')", timeout=60_000)
        assert page.locator("h1").text_content() == "page 2"
        page.wait_for_selector("h1:text('page 3')", timeout=60_000)
    page.wait_for_selector("#live:text('is over or was stopped')", timeout=60_000)
    assert str(study.page) in page.locator("#live").text_content()
    page.close()


@pytest.mark.slow
def test_a_search_is_followed_and_ctrl_c_ends_all_of_it(tmp_path, mnist_folder):
    opened = tmp_path / "opened"
    (browser := tmp_path / "browser").write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    arguments = ["--trials", 400, "--epochs", 1, "--train-images", 2000, "--max-parameters", 8000]
    arguments += ["--seeds", 0, "--out", tmp_path, "--workers", 2, "--serve"]
    driver = subprocess.Popen(
        [sys.executable, "-m", "search.run", *map(str, arguments)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"BROWSER": str(browser)},
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    said = driver.stderr.readline()
    address = said.removeprefix("the page, while the search runs: ").strip()
    assert get(address)[0] == 200
    while not driver.stderr.readline().startswith("search 2/"):
        pass
    deadline = time.monotonic() + 120
    while "6,218" not in (text := get(address)[2]):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert 'id="live"' in text and opened.read_text() == f"{address}\n"
    os.killpg(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=120)
    assert driver.returncode == 130 and "Traceback" not in said, said
    page = (tmp_path / "mnist" / "report.html").read_text(encoding="utf-8")
    assert "6,218" in page and 'id="live"' not in page
    assert not list((tmp_path / "mnist").glob(".*.partial"))
