"""What a report asks for: parameters to a `Query`, with everything that is wrong at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from adserve.core.schedule import BUCKET_S, bucket_of, day_bounds, local_day, parse_moment, zone
from adserve.errors import Invalid, Problem

TIME = ("hour", "day", "week", "month")
BELOW_SLOT = ("advertiser", "campaign", "creative", "revision", "tier")
"""Splits of which a slot's requests know nothing."""
DIMENSIONS = (*TIME, "site", "slot", *BELOW_SLOT, "device", "filter_reason", "empty_reason")
FILTERS = ("site", "slot", "advertiser", "campaign", "creative")
PERIODS = ("today", "yesterday", "month")
FORMATS = ("json", "csv")
_MOMENT = {"type": "string", "examples": ["2026-11-01"]}
_FILTER = {"type": "string", "pattern": "^([A-Za-z0-9_-]{1,64})?$"}
_ANY = "|".join(DIMENSIONS)
PARAMETERS: dict[str, dict[str, Any]] = {
    "from": {**_MOMENT, "description": "The first moment, a local date or an RFC 3339 time."},
    "to": {**_MOMENT, "description": "The first moment after it; without both: the last 7 local days."},
    "period": {"type": "string", "enum": ["", *PERIODS], "description": "In place of `from` and `to`."},
    "by": {
        **{"type": "string", "pattern": f"^(({_ANY})(,({_ANY}))*)?$", "default": "day"},
        "description": "What to split by, with commas between; empty: one row of everything.",
    },
    "tz": {
        "type": "string",
        "maxLength": 64,
        "description": "The IANA zone of its days.",
        "examples": ["Asia/Kolkata"],
    },
    "format": {"type": "string", "enum": ["", *FORMATS], "default": "json"},
    **{name: {**_FILTER, "description": f"Of this {name} alone."} for name in FILTERS},
    "slot": {
        **{"type": "string", "pattern": "^([a-z0-9-]{1,64}(/[a-z0-9-]{1,64})?)?$", "examples": ["news/top"]},
        "description": "Of this slot alone; without its site: of this name on every site.",
    },
}
"""Each with the JSON Schema of its values. An empty one counts as absent."""
DEFAULT_DAYS = 7
MAX_RANGE_S = 5 * 366 * 86_400
"""Five years: what one answer may span."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SLOT = re.compile(r"[a-z0-9-]{1,64}(/[a-z0-9-]{1,64})?")


@dataclass(frozen=True, slots=True)
class Query:
    """A report to make. `start` and `end` are epoch seconds, half-open, on quarter-hours; `widened`: they
    were not when asked for."""

    start: int
    end: int
    tz: ZoneInfo
    by: tuple[str, ...]
    filters: Mapping[str, str]
    format: str = "json"
    widened: bool = False

    @property
    def requests_known(self) -> bool:
        """Whether no filter names something below the slot, where requests belong."""
        return not any(name in BELOW_SLOT for name in self.filters)


def parse_query(params: Mapping[str, str], *, now: int, default_tz: str) -> Query:
    """Parameters of `GET /report` to a query; an empty one counts as absent, and one that is not
    of `PARAMETERS` was refused before. `Invalid` holds all problems. Times within a quarter-hour widen
    the range to whole ones.

    >>> parse_query({"period": "today", "by": "slot"}, now=0, default_tz="UTC").end
    86400
    """
    problems: list[Problem] = []
    given = {name: value for name, value in params.items() if value}

    def choice(name: str, choices: tuple[str, ...], default: str) -> str:
        value = given.get(name, default)
        if value not in choices and value != default:
            problems.append(Problem(f"/{name}", f"takes one of {', '.join(choices)}", f"unknown_{name}"))
        return value

    tz = _zone(given.get("tz", default_tz), problems)
    format_ = choice("format", FORMATS, "json")
    period = choice("period", PERIODS, "")
    by = _by(params.get("by", "day"), problems)
    filters = _filters(given, problems)
    start, end = _range(given, period, tz, now, problems)
    if problems:
        raise Invalid(problems)
    first, last = bucket_of(start), bucket_of(end + BUCKET_S - 1)
    return Query(first, last, tz, by, filters, format_, widened=(first, last) != (start, end))


def _zone(name: str, problems: list[Problem]) -> ZoneInfo:
    try:
        return zone(name)
    except ValueError as problem:
        problems.append(Problem("/tz", str(problem), "unknown_tz"))
        return ZoneInfo("UTC")


def _by(text: str, problems: list[Problem]) -> tuple[str, ...]:
    """The splits in the order asked, each once. Empty text asks for one row of everything."""
    names = tuple(dict.fromkeys(text.split(","))) if text else ()
    if any(name not in DIMENSIONS for name in names):
        problems.append(Problem("/by", f"takes any of {', '.join(DIMENSIONS)}, with commas between", "unknown_by"))
    return names


def _filters(given: Mapping[str, str], problems: list[Problem]) -> dict[str, str]:
    found = {name: given[name] for name in FILTERS if name in given}
    for name, value in found.items():
        if not (_SLOT if name == "slot" else _ID).fullmatch(value):
            detail = "takes a slot like news/top, or top" if name == "slot" else f"takes the id of one {name}"
            problems.append(Problem(f"/{name}", detail, "bad_filter"))
    return found


def _range(given: Mapping[str, str], period: str, tz: ZoneInfo, now: int, problems: list[Problem]) -> tuple[int, int]:
    """Start and end. Without any: the last 7 local days including today."""
    today = local_day(now, tz)
    if period:
        if "from" in given or "to" in given:
            problems.append(Problem("/period", "stands for from and to: give either", "bad_range"))
        if period == "yesterday":
            return day_bounds(today - timedelta(days=1), tz)
        first = today.replace(day=1) if period == "month" else today
        return day_bounds(first, tz)[0], day_bounds(today, tz)[1]
    starts, ends = _moment(given, "from", tz, problems), _moment(given, "to", tz, problems)
    end = day_bounds(today, tz)[1] if ends is None else ends
    last = local_day(end - 1, tz)
    start = day_bounds(last - timedelta(days=DEFAULT_DAYS - 1), tz)[0] if starts is None else starts
    if (starts is None and "from" in given) or (ends is None and "to" in given):
        return 0, 0
    if start >= end:
        problems.append(Problem("/to" if "to" in given else "/from", "from must lie before to", "bad_range"))
    elif end - start > MAX_RANGE_S:
        problems.append(Problem("/from", "one report spans at most 5 years: ask in parts", "range_too_long"))
    return start, end


def _moment(given: Mapping[str, str], name: str, tz: ZoneInfo, problems: list[Problem]) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    try:
        return parse_moment(text, tz)
    except ValueError as problem:
        hint = " (a + in an address is written %2B)" if " " in text else ""
        problems.append(Problem(f"/{name}", f"{problem}{hint}", "bad_time"))
        return None
