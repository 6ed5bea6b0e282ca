"""What a check finds, and a way to ask something that may never answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar

ANSWER_S = 2.0
"""How long one question to the network may take."""
Status = Literal["ok", "warning", "problem"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the diagnosis. `check`: stable name; `remedy`: what to do, empty when all is well."""

    check: str
    status: Status
    detail: str
    remedy: str = ""


def ok(check: str, detail: str) -> Finding:
    return Finding(check, "ok", detail)


def warning(check: str, detail: str, remedy: str) -> Finding:
    return Finding(check, "warning", detail, remedy)


def problem(check: str, detail: str, remedy: str) -> Finding:
    return Finding(check, "problem", detail, remedy)


def worst(findings: Iterable[Finding]) -> Status:
    found = {finding.status for finding in findings}
    return "problem" if "problem" in found else "warning" if "warning" in found else "ok"


def many(count: int, noun: str) -> str:
    """`1 event`, `2 events`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def within(seconds: float, ask: Callable[[], T]) -> T:
    """The answer, or what `ask` raised, or TimeoutError. A look-up of a name cannot be cancelled: it is
    left to a thread that keeps nobody from leaving."""
    answer: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            answer.append(ask())
        except BaseException as raised:
            failure.append(raised)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if not answer:
        raise TimeoutError(f"no answer in {seconds:g} s")
    return answer[0]
