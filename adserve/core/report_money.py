"""Money in reports: integer micro-units inside, decimal text outside, never a float."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from adserve.core.model import Priced

_SMALLEST = Decimal("0.000001")


def money_text(micros: int) -> str:
    """At least 2 decimals, at most 6.

    >>> money_text(2_500_000), money_text(1_234)
    ('2.50', '0.001234')
    """
    return _text(Decimal(micros).scaleb(-6))


def ecpm_text(micros: int, impressions: int) -> str | None:
    """Revenue per 1,000 impressions; None without impressions."""
    if impressions == 0:
        return None
    return _text((Decimal(micros) / 1000 / impressions).quantize(_SMALLEST, ROUND_HALF_EVEN))


def _text(amount: Decimal) -> str:
    whole, _, decimals = f"{amount:.6f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def flight(flat: Priced) -> tuple[int, int] | None:
    """Start and end of the flight of a flat price; None for open ends, over which nothing can be spread."""
    if flat.starts_at is None or flat.ends_at is None or flat.starts_at >= flat.ends_at:
        return None
    return flat.starts_at, flat.ends_at


def flat_share(price_micros: int, window: tuple[int, int], start: int, end: int) -> int:
    """The part of a flat price for `start` to `end`, in micro-units. Shares of adjoining parts of a
    flight add up to the share of the whole: each is the difference of two rounded running sums."""
    starts, ends = window

    def until(moment: int) -> int:
        return price_micros * (min(max(moment, starts), ends) - starts) // (ends - starts)

    return until(end) - until(start)
