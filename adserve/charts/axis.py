"""Where an axis has its ticks, and what they say: round numbers, and local days and hours.

DESIGN. A chart is as wide as its page, and text is not scaled with it. So every label says whether it also has room in
the narrowest page: of `WIDE` labels, which 560 px hold, every n-th is `always` there, at most `NARROW` of them, which
240 px hold. The style sheet hides the others. Not chosen: two charts, or a script that measures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from adserve.core.schedule import day_bounds, local_day, next_month

WIDE, NARROW = 8, 4
"""Labels of an axis of time: each has 60 px then, and takes 56 at most."""
ROWS = 5
"""Steps of an axis of amounts, at most."""
_HOURS, _DAYS, _MONTHS = (1, 2, 3, 6, 12), (1, 2, 7, 14), (1, 2, 3, 6, 12, 24)


class Span(NamedTuple):
    """What an axis of time shows: epoch seconds, half-open, and whose days and hours they are."""

    begin: int
    end: int
    tz: ZoneInfo

    def part(self, moment: float) -> float:
        """Where a moment lies, 0 to 1 from the left."""
        return (moment - self.begin) / max(1, self.end - self.begin)


class Tick(NamedTuple):
    """`always`: its label has room in the narrowest page too."""

    at: int
    label: str
    always: bool


def amounts(most: float, *, whole: bool) -> list[float]:
    """Round numbers from 0 up to the first that is not below `most`, in at most five steps. `whole`: of what is
    counted one by one.

    >>> amounts(17, whole=True), amounts(0, whole=True), amounts(0.03, whole=False)
    ([0, 5, 10, 15, 20], [0, 1], [0.0, 0.01, 0.02, 0.03])
    """
    unit = 1.0 if whole else 1e-6
    while True:
        for factor in (1, 2, 2.5, 5):
            step = unit * factor
            if whole and step % 1:
                continue
            steps = max(1, -int(-most / step // 1))
            if steps <= ROWS:
                return [int(step) * n if whole else round(step * n, 9) for n in range(steps + 1)]
        unit *= 10


def short(amount: float) -> str:
    """An amount in at most six characters, for an axis.

    >>> short(9_500), short(12_500), short(2_000_000), short(0.25)
    ('9,500', '12.5k', '2M', '0.25')
    """
    for size, letter in ((1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k")):
        if abs(amount) >= size:
            return f"{amount / (1_000 if letter == 'k' else size):.4g}{letter}"
    return f"{amount:,.6g}" if amount < 1_000 else f"{amount:,.0f}"


def exact(amount: float) -> str:
    """
    >>> exact(1_234_567), exact(2.5)
    ('1,234,567', '2.5')
    """
    return f"{amount:,.12g}"


def percent(rate: float) -> str:
    """
    >>> percent(0.025), percent(1)
    ('2.5%', '100%')
    """
    return f"{rate * 100:.4g}%"


def ticks(span: Span) -> list[Tick]:
    """Local hours, days or months, as few as have room."""
    moments, label = _chosen(span)
    every = -(-len(moments) // NARROW) or 1
    return [Tick(at, label(at), n % every == 0) for n, at in enumerate(moments)]


def _chosen(span: Span) -> tuple[list[int], Callable[[int], str]]:
    tz = span.tz

    def of_hour(at: int) -> str:
        moment = datetime.fromtimestamp(at, tz)
        return f"{moment:%H:%M}" if moment.hour or moment.minute else of_day(at)

    def of_day(at: int) -> str:
        moment = datetime.fromtimestamp(at, tz)
        return f"{moment.day} {moment:%b}"

    def of_month(at: int) -> str:
        return f"{datetime.fromtimestamp(at, tz):%b %Y}"

    for step in _HOURS:
        if span.end - span.begin <= step * 3600 * WIDE:
            found = _within(span, _hours(span, step))
            if len(found) <= WIDE:
                return found, of_hour
    for step in _DAYS:
        if span.end - span.begin <= (step * WIDE + 1) * 86_400:
            found = _within(span, _days(span, step))
            if len(found) <= WIDE:
                return found, of_day
    for step in _MONTHS:
        found = _within(span, _months(span, step))
        if len(found) <= WIDE:
            break
    return found[:WIDE], of_month


def _within(span: Span, moments: Iterator[int]) -> list[int]:
    return sorted({at for at in moments if span.begin <= at <= span.end})


def _hours(span: Span, step: int) -> Iterator[int]:
    day = local_day(span.begin, span.tz)
    while day_bounds(day, span.tz)[0] <= span.end:
        for hour in range(0, 24, step):
            moment = datetime(day.year, day.month, day.day, hour, tzinfo=span.tz).astimezone(UTC)
            if moment.astimezone(span.tz).hour == hour:  # the hour that a clock change leaves out is none
                yield int(moment.timestamp())
        day += timedelta(days=1)


def _days(span: Span, step: int) -> Iterator[int]:
    day = local_day(span.begin, span.tz)
    if day_bounds(day, span.tz)[0] < span.begin:
        day += timedelta(days=1)
    while (begin := day_bounds(day, span.tz)[0]) <= span.end:
        yield begin
        day += timedelta(days=step)


def _months(span: Span, step: int) -> Iterator[int]:
    first = local_day(span.begin, span.tz)
    day = date(first.year, 1, 1) if step > 1 else first.replace(day=1)
    at = 0
    while (begin := day_bounds(day, span.tz)[0]) <= span.end:
        if at % step == 0:
            yield begin
        day, at = next_month(day), at + 1
