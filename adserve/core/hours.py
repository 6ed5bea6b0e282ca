"""Hours of the week in a zone: when a campaign is open.

DESIGN. Hours are wall-clock times, to the minute. They become a byte for each of the 10,080 minutes of a
week, from Monday on, so asking is one look at a byte. Where clocks are set forward the hour that is skipped is never
open, where they are set back the hour that comes twice is open twice: as the clock on the wall says. How long it is
open between two moments is a difference of running sums, for each stretch of one offset of the zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from adserve.core.bits import everyone, mask_of
from adserve.core.schedule import zone as zone_of

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MIN = 24 * 60
WEEK_MIN = 7 * DAY_MIN
DAY_S, WEEK_S = 86_400, 7 * 86_400
LONGEST = 200
"""Characters of one of them."""
_FIRST_MONDAY_S = 4 * DAY_S
"""1970-01-05, the first Monday of the epoch."""
_TAKES = 'takes hours like "mon-fri 09:00-17:00", "sat,sun 10:00-14:00", "22:00-06:00" or "sat-sun"'
_HOURS = re.compile(r"(?P<days>[a-z]{3}[a-z, -]*?)?\s*(?P<times>[0-9]{1,2}:[0-9]{2}\s*-\s*[0-9]{1,2}:[0-9]{2})?")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})")


def parse_hours(text: str) -> tuple[tuple[int, ...], int, int]:
    """Days (Monday is 0) and the minutes of a day from and to which it is open; `to` lies over 1440 where it
    goes on after midnight. `"fri 22:00-06:00"` gives `((4,), 1320, 1800)`. ValueError when it is none."""
    match = _HOURS.fullmatch(text.strip().lower()) if len(text) <= LONGEST else None
    if match is None or not (match["days"] or match["times"]):
        raise ValueError(_TAKES)
    days = _days(match["days"]) if match["days"] else tuple(range(7))
    if not match["times"]:
        return days, 0, DAY_MIN
    start, end = (_minute(one) for one in match["times"].split("-"))
    if start == DAY_MIN:
        raise ValueError("takes 24:00 as an end only: a day begins at 00:00")
    if start == end:
        raise ValueError("ends when it begins; for a whole day leave the times away")
    return days, start, end if end > start else end + DAY_MIN


def hours_text(text: str) -> str:
    """The form in which hours are stored, which says the same: `"MON, fri-sat 9:00-17:00"` gives
    `"mon,fri-sat 09:00-17:00"`. ValueError when it is none."""
    days, start, end = parse_hours(text)
    parts = []
    if len(days) < 7 or (start, end) == (0, DAY_MIN):
        parts.append(_day_text(days))
    if (start, end) != (0, DAY_MIN):
        parts.append(f"{_time_text(start)}-{_time_text(end if end <= DAY_MIN else end - DAY_MIN)}")
    return " ".join(parts)


def _days(text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in text.split(","):
        names = [name.strip() for name in part.split("-")]
        if len(names) > 2 or not all(name in DAYS for name in names):
            raise ValueError(f"{_TAKES}; days are {', '.join(DAYS)}")
        first, last = DAYS.index(names[0]), DAYS.index(names[-1])
        found.update(day % 7 for day in range(first, (last if last >= first else last + 7) + 1))
    return tuple(sorted(found))


def _minute(text: str) -> int:
    match = _TIME.fullmatch(text.strip())
    hour, minute = (int(match[1]), int(match[2])) if match else (99, 99)
    if minute > 59 or hour * 60 + minute > DAY_MIN:
        raise ValueError(f"{_TAKES}; times are 00:00 to 24:00")
    return hour * 60 + minute


def _day_text(days: tuple[int, ...]) -> str:
    """Runs of three days and more, and of two that are all there is, with a dash."""
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(DAYS[run[0]] if len(run) == 1 else f"{DAYS[run[0]]}-{DAYS[run[-1]]}" for run in runs)


def _time_text(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


class Hours:
    """Hours of the week in a zone. Equal when they are open at the same minutes of the same zone."""

    __slots__ = ("_key", "_running", "_tz", "_week")

    def __init__(self, texts: Sequence[str], zone: str) -> None:
        week = bytearray(WEEK_MIN)
        for text in texts:
            days, start, end = parse_hours(text)
            for day in days:
                for minute in range(day * DAY_MIN + start, day * DAY_MIN + end):
                    week[minute % WEEK_MIN] = 1
        self._week = bytes(week)
        self._running = [0]
        """Minutes that are open before each minute of the week."""
        for one in week:
            self._running.append(self._running[-1] + one)
        self._tz: ZoneInfo = zone_of(zone)
        self._key = (self._week, zone)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hours) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def is_open(self, now: float) -> bool:
        """Whether it is open at an epoch second."""
        local = datetime.fromtimestamp(now, self._tz)
        return self._week[local.weekday() * DAY_MIN + local.hour * 60 + local.minute] == 1

    def quarters(self) -> tuple[int, ...]:
        """The open seconds of each quarter-hour of the local week, Monday 00:00 first: 672 numbers up to 900."""
        sums = self._running[::15]
        return tuple([60 * (after - before) for before, after in pairwise(sums)])

    def open_seconds(self, start: int, end: int) -> int:
        """Seconds between two epoch seconds in which it is open."""
        return sum(
            self._before(until + offset) - self._before(since + offset)
            for since, until, offset in _stretches(start, end, self._tz)
        )

    def _before(self, local: int) -> int:
        """Open seconds from the first Monday to a wall-clock second, as if it were UTC."""
        weeks, second = divmod(local - _FIRST_MONDAY_S, WEEK_S)
        minute, rest = divmod(second, 60)
        return 60 * (weeks * self._running[-1] + self._running[minute]) + rest * self._week[minute]


def _stretches(start: int, end: int, tz: ZoneInfo) -> Iterator[tuple[int, int, int]]:
    """The time from start to end, cut where the offset of a zone changes: since, until, offset in seconds. Looks once
    a day: no zone changes twice within one."""
    offset = _offset(start, tz)
    while start < end:
        until = min(start + DAY_S, end)
        after = _offset(until, tz)
        if after != offset:
            low = start
            while until - low > 1:  # the first second with the new offset
                middle = (low + until) // 2
                low, until = (middle, until) if _offset(middle, tz) == offset else (low, middle)
        yield start, until, offset
        start, offset = until, after


@lru_cache(maxsize=20_000)
def _offset(moment: int, tz: ZoneInfo) -> int:
    """Kept, for plans ask for every quarter-hour of a flight, and the campaigns of a zone for the same ones."""
    delta = datetime.fromtimestamp(moment, tz).utcoffset()
    return 0 if delta is None else int(delta.total_seconds())


@lru_cache(maxsize=1000)
def hours_of(texts: tuple[str, ...], zone: str) -> Hours | None:
    """The hours of a target; None: it has none, and is always open. What nobody can read is never open: no check let it
    into the store, and to serve at any hour is not what it means."""
    try:
        return Hours(texts, zone) if texts else None
    except ValueError:
        return Hours((), "UTC")


class OpenHours:
    """The hours of the candidates of a tier, in their order; which of them are open."""

    __slots__ = ("_everyone", "_minute", "_now", "_of", "plain")

    def __init__(self, hours: Sequence[Hours | None]) -> None:
        self._everyone = everyone(len(hours))
        members: dict[Hours, list[int]] = {}
        for candidate, one in enumerate(hours):
            if one is not None:
                members.setdefault(one, []).append(candidate)
        self._of = [(one, mask_of(candidates)) for one, candidates in members.items()]
        self.plain = not members
        """Whether nobody has hours."""
        self._minute = -1
        self._now = self._everyone

    def mask(self, now: float) -> int:
        """Those that are open, worked out anew each minute."""
        if self._of and (minute := int(now // 60)) != self._minute:
            self._minute, self._now = minute, self._everyone
            for hours, candidates in self._of:
                if not hours.is_open(now):
                    self._now &= ~candidates
        return self._now
