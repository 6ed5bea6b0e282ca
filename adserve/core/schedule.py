"""Moments, local days and quarter-hours. Times are UTC epoch seconds; days are true local days."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

BUCKET_S = 900
LATE_S = 48 * 3600
"""How long after its lifetime a late event is still counted as late."""
"""Every zone offset in use is a multiple of 15 minutes, so buckets never straddle a local day."""
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]([01][0-9]|2[0-3]):[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")
_NOT_REAL = {"Factory", "localtime", "posixrules"}
"""Names that some systems have as files and that mean something else on each of them."""
YEARS = (1970, 2200)


def bucket_of(epoch: int) -> int:
    """The epoch second at which the quarter-hour of `epoch` begins."""
    return epoch - epoch % BUCKET_S


@lru_cache(maxsize=1000)
def zone(name: str) -> ZoneInfo:
    """An IANA zone by name. ValueError when there is none."""
    of_this_machine = name.startswith(("right/", "posix/"))  # other machines need not have them
    if len(name) > 64 or not _ZONE.fullmatch(name) or name in _NOT_REAL or of_this_machine:
        raise ValueError("takes an IANA time zone, as Asia/Kolkata or UTC")
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"{name} is no IANA time zone; try Asia/Kolkata or UTC") from None


def parse_day(text: str) -> date:
    """A real date from 1970 to 2200, `2026-11-24`. ValueError otherwise."""
    if not _DATE.fullmatch(text):
        raise ValueError("takes a date like 2026-11-24")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text} is no date of the calendar") from None
    if not YEARS[0] <= day.year <= YEARS[1]:
        raise ValueError(f"takes a year from {YEARS[0]} to {YEARS[1]}")
    return day


def parse_moment(text: str, tz: ZoneInfo) -> int:
    """Epoch seconds of a local date (its beginning in `tz`) or an RFC 3339 time. ValueError otherwise."""
    if _DATE.fullmatch(text):
        return day_bounds(parse_day(text), tz)[0]
    if not _MOMENT.fullmatch(text):
        raise ValueError("takes a date like 2026-11-24 or a time like 2026-11-24T09:30:00Z")
    try:
        moment = datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
        epoch = int(moment.timestamp())
    except (ValueError, OverflowError):
        raise ValueError(f"{text} is no time of the calendar") from None
    if not YEARS[0] <= moment.year <= YEARS[1]:
        raise ValueError(f"takes a year from {YEARS[0]} to {YEARS[1]}")
    return epoch


def local_day(epoch: int, tz: ZoneInfo) -> date:
    """The day it is in `tz`."""
    return datetime.fromtimestamp(epoch, tz).date()


def day_bounds(day: date, tz: ZoneInfo) -> tuple[int, int]:
    """First second of a local day and of the next: 23, 24 or 25 hours apart."""

    def start(one: date) -> int:
        return int(datetime(one.year, one.month, one.day, tzinfo=tz).astimezone(UTC).timestamp())

    return start(day), start(day + timedelta(days=1))


def hour_start(epoch: int, tz: ZoneInfo) -> int:
    """The epoch second at which the local hour of `epoch` begins: at :15 or :30 UTC in some zones."""
    return int(datetime.fromtimestamp(epoch, tz).replace(minute=0, second=0).timestamp())


def hour_label(epoch: int, tz: ZoneInfo) -> str:
    """The local hour with its offset, so that the repeated hour of a clock change stays two."""
    return moment_label(hour_start(epoch, tz), tz)


def moment_label(epoch: int, tz: ZoneInfo) -> str:
    """RFC 3339 with the offset of `tz`."""
    return datetime.fromtimestamp(epoch, tz).isoformat()


def utc_label(epoch: int) -> str:
    """The form in which stored moments are shown: `2026-11-24T09:00:00Z`."""
    return f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%dT%H:%M:%SZ}"


def week_start(day: date) -> date:
    """The Monday of the ISO week of a day."""
    return day - timedelta(days=day.weekday())


def month_label(day: date) -> str:
    """`2026-11`."""
    return f"{day.year:04}-{day.month:02}"


def next_month(day: date) -> date:
    """The first day of the month after that of `day`."""
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
