"""Query parameters of the management API: each route declares what it takes, and takes nothing else.

A parameter that is ignored looks like a filter that found everything, so a misspelt one is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from adserve.core.target_checks import KV_NAME
from adserve.core.validate import Check, nearest, pointer, takes
from adserve.errors import Invalid, Problem

Takes = Mapping[str, Check[Any]]
"""Parameter to the check of its value. A name that ends with a dot stands for all that begin so."""
MAX_NAMED = 50
"""How many parameters one answer finds fault with: a URL of 32 KB holds thousands."""


def read_query(
    given: Iterable[tuple[str, str]], known: Takes, required: frozenset[str] = frozenset()
) -> dict[str, str]:
    """The parameters of a call, as text. Invalid names each that is unknown, repeated, wrong or missing."""
    values: dict[str, list[str]] = {}
    for name, value in given:
        values.setdefault(name, []).append(value)
    problems = [Problem(pointer(name), "is required") for name in known if name in required and name not in values]
    for name in list(values)[:MAX_NAMED]:
        check = known.get(name) if not name.endswith(".") else None
        check = check or next((known[one] for one in known if one.endswith(".") and _begins(name, one)), None)
        if check is None:
            detail = f"is no parameter of this address, which takes {', '.join(known) or 'none'}"
            problems.append(Problem(pointer(name), detail + nearest(name, known), "unknown_field"))
        elif len(values[name]) > 1:
            problems.append(Problem(pointer(name), "is given more than once: give it once"))
        else:
            try:
                check(values[name][0])
            except ValueError as problem:
                problems.append(Problem(pointer(name), str(problem)))
    if problems:
        raise Invalid(problems)
    return {name: value for name, (value,) in values.items()}


def _begins(name: str, prefix: str) -> bool:
    """Whether a name is one of those that a prefix stands for, as `kv.section` for `kv.`."""
    return name.startswith(prefix) and KV_NAME.fullmatch(name, len(prefix)) is not None


@takes(type="integer", minimum=1)
def whole_from_one(text: str) -> int:
    """A number of things to answer."""
    if not (text.isascii() and text.isdigit() and int(text[:9])):
        raise ValueError("takes a whole number from 1")
    return int(text[:9])
