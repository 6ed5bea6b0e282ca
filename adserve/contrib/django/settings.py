"""The setting `ADSERVE`, and what Django's system checks say of it."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from ..client import problems_of

DEFAULTS: dict[str, Any] = {"BASE_URL": None, "SITE": None, "TIMEOUT_S": 0.05, "KEY": None}
_EXAMPLE = 'ADSERVE = {"BASE_URL": "http://127.0.0.1:8000", "SITE": "news"}'
_IDS = {"BASE_URL": "E002", "SITE": "E003", "TIMEOUT_S": "E004", "KEY": "E005"}


def values() -> dict[str, Any]:
    """The settings with their defaults; nothing but these while ADSERVE is no mapping."""
    given = getattr(settings, "ADSERVE", None)
    return {**DEFAULTS, **given} if isinstance(given, Mapping) else dict(DEFAULTS)


def problems() -> dict[str, str]:
    """What is wrong with the values, by name."""
    found = values()
    return {
        name.upper(): problem
        for name, problem in problems_of(found["BASE_URL"], found["SITE"], found["TIMEOUT_S"], found["KEY"]).items()
    }


def check(**_: object) -> list[CheckMessage]:
    """All problems at once, each with its remedy."""
    given = getattr(settings, "ADSERVE", None)
    if not isinstance(given, Mapping):
        said = "is not set" if given is None else "is no mapping"
        return [Error(f"The setting ADSERVE {said}.", hint=f"Write {_EXAMPLE}", id="adserve.E001")]
    found: list[CheckMessage] = [
        Error(f"ADSERVE[{name!r}] {problem}.", id=f"adserve.{_IDS[name]}") for name, problem in problems().items()
    ]
    for name in given:
        if name not in DEFAULTS:
            near = get_close_matches(str(name).upper(), DEFAULTS, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(DEFAULTS)}."
            found.append(Error(f"ADSERVE[{name!r}] is no setting.", hint=hint, id="adserve.E006"))
    return found
