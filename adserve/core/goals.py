"""Checks of what limits a campaign: goal, caps, frequency, and what may not stand beside it."""

from __future__ import annotations

from typing import Any

from adserve.core.model import Caps, Frequency, Goal, Limit
from adserve.core.validate import ID, Check, folded, nearest, one_of, takes, text, whole

MOST = 1_000_000_000
"""Impressions or clicks of a goal or a cap."""
_count = whole(1, MOST)
_percent = whole(1, 100)


def _object(value: Any, what: str, **checks: Check[Any]) -> dict[str, Any]:
    """The members of an object that are there, each through its check."""
    if not isinstance(value, dict):
        raise ValueError(f"takes {what}")
    found = {}
    for name, one in value.items():
        if name not in checks:
            raise ValueError(f"takes {what}{nearest(str(name), checks)}")
        if one is not None:
            try:
                found[name] = checks[name](one)
            except ValueError as problem:
                raise ValueError(f"{name} {problem}") from None
    return found


_LIMIT = '{"impressions", "clicks"}'


@takes(
    type="object",
    properties={"impressions": _count.schema, "clicks": _count.schema, "share": _percent.schema},
    maxProperties=3,
    additionalProperties=False,
    examples=[{"impressions": 10_000}],
)
def goal(value: Any) -> Goal:
    """One of `impressions`, `clicks` and `share`."""
    what = 'one of {"impressions"}, {"clicks"} and {"share"}'
    found = _object(value, what, impressions=_count, clicks=_count, share=_percent)
    if len(found) != 1:
        raise ValueError(f"takes {what}")
    return Goal(**found)


@takes(
    type="object",
    properties={"impressions": _count.schema, "clicks": _count.schema},
    additionalProperties=False,
)
def _limit(value: Any) -> Limit:
    return Limit(**_object(value, _LIMIT, impressions=_count, clicks=_count))


@takes(
    type="object",
    properties={"total": _limit.schema, "daily": _limit.schema},
    additionalProperties=False,
    examples=[{"total": {"impressions": 5000}, "daily": {"impressions": 500}}],
)
def caps(value: Any) -> Caps | None:
    """Ceilings; without any there are none."""
    found = Caps(**_object(value, f'{{"total": {_LIMIT}, "daily": {_LIMIT}}}', total=_limit, daily=_limit))
    return None if found == Caps() else found


_WINDOW = one_of("hour", "day", "week")
_UNKNOWN = one_of("serve", "skip")


@takes(
    type="object",
    properties={"limit": whole(1, 1000).schema, "window": _WINDOW.schema, "unknown": _UNKNOWN.schema},
    required=["limit", "window"],
    additionalProperties=False,
    examples=[{"limit": 3, "window": "day"}],
)
def frequency(value: Any) -> Frequency:
    what = '{"limit", "window": "hour|day|week"} and, if you like, "unknown": "serve|skip"'
    found = _object(value, what, limit=whole(1, 1000), window=_WINDOW, unknown=_UNKNOWN)
    if not {"limit", "window"} <= set(found):
        raise ValueError(f"takes {what}")
    return Frequency(**found)


_WORD = text(60)


@takes(type="string", minLength=1, maxLength=60)
def word(value: Any) -> str:
    """A category: compared in any case, so it is kept folded."""
    return folded(_WORD(value))


@takes(type="string", pattern="^(advertiser|category):", maxLength=80, examples=["category:cars"])
def exclusion(value: Any) -> str:
    """`advertiser:ID` or `category:NAME`."""
    kind, _, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    if kind == "advertiser" and ID.fullmatch(name):
        return f"advertiser:{name}"
    if kind == "category" and name:
        return f"category:{word(name)}"
    raise ValueError("takes advertiser:ID or category:NAME")
