"""An endpoint: what a route runs, beside what it takes and answers, from which the interface is described."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

JSON, PATCH, FORM = "application/json", "application/merge-patch+json", "multipart/form-data"
CSV, HTML = "text/csv", "text/html"
Run = Callable[[Any], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`takes` and `gives`: media type to the name of a schema of `adserve.web.api.schemas`, empty for text. `gives`
    comes with each of `statuses`, the first of which is the usual one. `if_match`: whether it looks at the version that
    is there; `once`: whether it takes an Idempotency-Key; `bare`: whether it goes without a body, too."""

    run: Run
    statuses: tuple[int, ...]
    gives: Mapping[str, str]
    takes: Mapping[str, str]
    if_match: bool
    once: bool
    bare: bool = False

    def __call__(self, call: Any) -> Awaitable[Response]:
        return self.run(call)


def answers(
    *statuses: int,
    gives: Mapping[str, str],
    takes: Mapping[str, str] | None = None,
    if_match: bool = False,
    once: bool = False,
    bare: bool = False,
) -> Callable[[Run], Endpoint]:
    """Makes a function an endpoint that says what it takes and gives."""
    return lambda run: Endpoint(run, statuses, gives, takes or {}, if_match, once, bare)
