"""What the service writes to its log: one line an event, and what no line may hold.

DESIGN. Nearly all lines are our own words about our own state. What strangers sent gets in by two ways alone, the
path of a request (`ADSERVE_ACCESS_LOG`) and the text of an exception, but which line that is nobody can tell
beforehand. So every line goes the same way, also those of the libraries:

    spared    more than 20 lines of one event in 10 seconds are left out and counted: whoever can cause a line
              cannot fill a disk with it. Not the lines of requests, which an operator asked for one by one
    masked    the MAC of a token, a link or cookie of who signs in, an API key, the password of a URL
    cut       each value at 300 characters, a traceback at 8,000; control characters of a traceback
    shown     as JSON, all ASCII; on a terminal as text, values quoted

No line names a client: nothing here is told an address.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

MOST, WINDOW_S = 20, 10.0
LONGEST, LONGEST_TRACEBACK = 300, 8_000
EVERY = frozenset({"request"})
"""Events of which no line is spared."""
_SECRETS = (
    (re.compile(r"(?<![\w-])([\w-]{36})[\w-]{12}(?![\w-])", re.ASCII), r"\1..."),
    (re.compile(r"(?<![\w-])[\w-]{43}(?![\w-])", re.ASCII), "..."),
    (re.compile(r"adserve_[\w-]{16,}", re.ASCII), "adserve_..."),
    (re.compile(r"(?<=://)[^/\s@]*@"), "...@"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def configure(form: str = "auto", file: TextIO | None = None) -> None:
    """Every logger of ours writes to `file` (else stderr). `form`: `json`, `text`, or `auto`, which is text on a
    terminal alone."""
    file = file or sys.stderr
    as_text = form == "text" or (form == "auto" and file.isatty())
    show: Processor = structlog.processors.JSONRenderer()
    if as_text:
        show = structlog.dev.ConsoleRenderer(
            colors=file.isatty(),
            repr_native_str=True,  # or a line end in a value would begin a line
            exception_formatter=structlog.dev.plain_traceback,  # the other one shows the values of variables
        )
    structlog.configure(
        processors=[
            Sparing(),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            tidy,
            show,
        ],
        logger_factory=structlog.WriteLoggerFactory(file),  # a line and its end in one write, also unbuffered
    )


class Sparing:
    """Leaves out what is said too often; the next line of the event that is written says how many were."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}
        """Event to the beginning of its window and the lines in it. Events are words of the code: few."""

    def __call__(self, _: Any, __: str, line: EventDict) -> EventDict:
        event = str(line["event"])
        if event in EVERY:
            return line
        now = self._clock()
        begun, count = self._said.get(event, (now, 0))
        if now - begun >= WINDOW_S:
            if count > MOST:
                line["left_out"] = count - MOST
            begun, count = now, 0
        self._said[event] = begun, count + 1
        if count >= MOST:
            raise structlog.DropEvent
        return line


def tidy(_: Any, __: str, line: EventDict) -> EventDict:
    """Masks secrets and cuts what is long, in every value."""
    for name, value in line.items():
        if name == "exception":
            line[name] = masked(_CONTROL.sub("", value)[-LONGEST_TRACEBACK:])
        elif isinstance(value, list):
            line[name] = [_short(masked(str(one))) for one in value]
        elif not isinstance(value, int | float | None):
            line[name] = _short(masked(str(value)))
    return line


def masked(text: str) -> str:
    """Text without the secrets that it might hold.

    >>> masked("redis://user:pw@store:6379/0 and adserve_0123456789abcdefg")
    'redis://...@store:6379/0 and adserve_...'
    """
    for secret, rest in _SECRETS:
        text = secret.sub(rest, text)
    return text


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"


class Standard(logging.Handler):
    """Lines of libraries, which speak to the standard library's loggers, as lines of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger("adserve")
        log.log(record.levelno, record.name, detail=record.getMessage().strip(), exc_info=record.exc_info)


def adopt() -> None:
    """Takes the loggers of the libraries over, after uvicorn has set up its own."""
    root = logging.getLogger()
    root.handlers = [Standard(logging.WARNING)]
    server = logging.getLogger("uvicorn")
    server.handlers, server.propagate = [], True
