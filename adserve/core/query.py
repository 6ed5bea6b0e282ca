"""A report's question: what was asked, checked, all problems at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from adserve.core.schedule import day_bounds, local_day, parse_moment, zone
from adserve.errors import Invalid, Problem

TIME = ("hour", "day", "week", "month")
BELOW_SLOT = ("advertiser", "campaign", "creative", "revision", "tier", "filter_reason")
BY = (*TIME, "site", "slot", *BELOW_SLOT, "device", "empty_reason")
FILTERS = ("site", "slot", "advertiser", "campaign", "creative")
KNOWN = (*FILTERS, "from", "to", "period", "by", "tz", "format")
LONGEST_S = 5 * 366 * 86_400


@dataclass(frozen=True, slots=True)
class Query:
    """`start` and `end` are epoch seconds, half-open; `by` the names of the splits in order."""

    start: int
    end: int
    tz: ZoneInfo
    by: tuple[str, ...]
    filters: Mapping[str, str]
    csv: bool

    @property
    def below_slot(self) -> bool:
        """Whether requests and fill rate mean nothing: a split or a filter below the slot."""
        named = {*self.by, *self.filters}
        return any(name in named for name in BELOW_SLOT)

    @property
    def whole_days(self) -> bool:
        """Whether both ends are local midnights and no split needs less than a day."""
        edges = all(day_bounds(local_day(at, self.tz), self.tz)[0] == at for at in (self.start, self.end))
        return edges and "hour" not in self.by


def parse_query(params: Mapping[str, str], *, now: int, default_tz: str) -> Query:
    """Query parameters to a Query. Invalid with every problem."""
    problems: list[Problem] = []

    def wrong(name: str, detail: str) -> None:
        problems.append(Problem(f"/{name}", detail))

    try:
        tz = zone(params.get("tz", default_tz))
    except ValueError as problem:
        wrong("tz", str(problem))
        tz = zone("UTC")
    by = tuple(name for name in params.get("by", "day").split(",") if name)
    if not by or any(name not in BY for name in by) or len(set(by)) != len(by):
        wrong("by", f"takes a comma-separated list of {', '.join(BY)}, each once")
    today = local_day(now, tz)
    first, last = today - timedelta(days=6), today + timedelta(days=1)
    period = params.get("period")
    if period == "today":
        first = today
    elif period == "yesterday":
        first, last = today - timedelta(days=1), today
    elif period == "month":
        first = today.replace(day=1)
    elif period is not None:
        wrong("period", "takes today, yesterday or month")
    start, end = day_bounds(first, tz)[0], day_bounds(last, tz)[0]
    if period is not None and ("from" in params or "to" in params):
        wrong("period", "goes without from and to")
    for name in ("from", "to"):
        if name in params:
            try:
                at = parse_moment(params[name], tz)
            except ValueError as problem:
                wrong(name, str(problem))
                continue
            start, end = (at, end) if name == "from" else (start, at)
    if not problems and start >= end:
        wrong("to", "must lie after from")
    if not problems and end - start > LONGEST_S:
        wrong("from", "at most five years at once")
    if not problems and (start % 900 or end % 900):
        wrong("from" if start % 900 else "to", "takes quarter-hours: minutes 00, 15, 30 or 45")
    if params.get("format", "json") not in ("json", "csv"):
        wrong("format", "takes json or csv")
    for name in params:
        if name not in KNOWN:
            wrong(name[:60] if name.isprintable() else "(unprintable)", "is no parameter of a report")
    if problems:
        raise Invalid(problems)
    filters = {name: params[name] for name in FILTERS if name in params}
    return Query(start, end, tz, by, filters, params.get("format") == "csv")
