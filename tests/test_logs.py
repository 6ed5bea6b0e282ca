"""Log lines: complete, one a line, and without what no line may hold."""

from __future__ import annotations

import io
import json
import logging
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from adserve import logs
from adserve.core.token import Key, Serve, Signer
from tests.conftest import Clock

TOKEN = Signer([Key.derive(b"a secret of more than thirty-two bytes")]).mint(
    Serve(1, 2, 1_800_000_000, 3, 4, 0, 5, 1, 1)
)[0]
KEY = "adserve_0123456789abcdefghijklmnopqrstuvwxyz-_0123"
URL = "rediss://user:hunter2@store.example:6379/0"
NASTY = f"x\n{{}}\r\x1b[31m\x00\u2028\ud800 /e/i/{TOKEN} {KEY} {URL}"


class Screen(io.StringIO):
    """A terminal, or a file."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.getvalue().split("\n") if line]


@pytest.fixture(autouse=True)
def _put_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("", "uvicorn"):
        logger = logging.getLogger(name)
        for attribute in ("handlers", "propagate"):
            monkeypatch.setattr(logger, attribute, getattr(logger, attribute))
    yield
    structlog.reset_defaults()


@pytest.fixture
def log() -> Any:
    return structlog.get_logger("adserve")


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_value_breaks_a_line_or_gives_a_secret_away(log: Any, form: str) -> None:
    """One line, printable, whatever a value holds, alone, in a list, or as the text of an exception."""
    screen = Screen()
    logs.configure(form, screen)
    log.warning("odd", path=NASTY, problems=[NASTY], size=3, nothing=None, yes=True)
    log.warning("long", path="y" * 50_000)
    said = screen.getvalue()
    assert said.count("\n") == 2
    for line in said.splitlines():
        assert line.isprintable()
        assert len(line) < 1000
    for secret in (TOKEN, KEY, "hunter2"):
        assert secret not in said
    assert TOKEN[:36] in said, "what is public of a token stays: it is the decision's id"
    assert "store.example" in said


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_traceback_is_said_without_what_it_must_not_tell(log: Any, form: str) -> None:
    """Where, and what; not the values of variables, no escapes for the terminal."""
    screen = Screen(terminal=form == "text")
    logs.configure("auto", screen)
    hidden = "hunter3"
    try:
        raise ValueError(f"{NASTY}{len(hidden)}")
    except ValueError:
        log.exception("failed")
    said = screen.getvalue()
    assert "test_logs.py" in said
    assert "ValueError" in said
    for secret in (TOKEN, KEY, "hunter2", "hunter3", "\x1b[31mx", "\x00"):
        assert secret not in said
    if form == "json":
        assert len(screen.lines()) == 1


def test_a_terminal_gets_text_and_everything_else_json(log: Any) -> None:
    for terminal, form, wanted in (
        (True, "auto", False),
        (False, "auto", True),
        (True, "json", True),
        (False, "text", False),
    ):
        screen = Screen(terminal=terminal)
        logs.configure(form, screen)
        log.info("hello", n=1)
        assert screen.getvalue().startswith("{") is wanted


def test_a_line_and_its_end_are_one_write(log: Any) -> None:
    """So that those of two processes on one file, also unbuffered, never share a line."""
    written: list[str] = []

    class File(Screen):
        def write(self, text: str) -> int:
            written.append(text)
            return len(text)

    logs.configure("json", File())
    structlog.get_logger("adserve").warning("one")
    structlog.get_logger("adserve").warning("two", detail="a\nb")
    assert [json.loads(text)["event"] for text in written] == ["one", "two"]
    assert all(text.endswith("}\n") for text in written)


def test_lines_of_libraries_are_lines_of_ours(log: Any) -> None:
    """uvicorn's and asyncio's, with their tracebacks; not those that are no warning."""
    screen = Screen()
    logs.configure("json", screen)
    logs.adopt()
    try:
        raise ValueError(KEY)
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
    logging.getLogger("asyncio").warning("took %s", "long")
    logging.getLogger("asyncio").info("nothing")
    one, other = screen.lines()
    assert (one["event"], one["level"], one["detail"]) == ("uvicorn.error", "error", "Exception in ASGI application")
    assert "ValueError: adserve_..." in one["exception"]
    assert (other["event"], other["detail"]) == ("asyncio", "took long")


def test_what_comes_too_often_is_counted_and_not_written() -> None:
    """Each event for itself; the next window says how many were left out. Requests are all written."""
    clock = Clock(100.0)
    sparing = logs.Sparing(clock)

    def written(event: str, times: int) -> list[Any]:
        found = []
        for _ in range(times):
            try:
                found.append(dict(sparing(None, "", {"event": event})))
            except structlog.DropEvent:
                continue
        return found

    assert len(written("store_failed", 1000)) == logs.MOST
    assert len(written("store_away", 3)) == 3
    assert len(written("request", 1000)) == 1000
    clock.now += logs.WINDOW_S
    assert written("store_failed", 2) == [
        {"event": "store_failed", "left_out": 1000 - logs.MOST},
        {"event": "store_failed"},
    ]
    clock.now += logs.WINDOW_S
    assert written("store_failed", 1) == [{"event": "store_failed"}]


def test_the_path_of_a_link_is_logged_without_what_opens_it() -> None:
    """Whoever reads the log of requests signs in by none of its lines; other words of its length stay readable."""
    secret = secrets.token_urlsafe(32)
    for path in ("link", "invitation", "reset"):
        assert logs.masked(f"GET /console/{path}/{secret} 200") == f"GET /console/{path}/... 200"
    for readable in ("a" * 42, "a" * 44, f"{'a' * 40}.png", "/api/v1/campaigns/spring-2027"):
        assert logs.masked(readable) == readable
