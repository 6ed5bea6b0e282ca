"""The checks of a campaign's `target`: rules to how they are stored, in the form in which they are compared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from adserve.core.globs import pattern
from adserve.core.hours import LONGEST, hours_text
from adserve.core.model import DEVICES, Rule, Target
from adserve.core.validate import Check, Schema, Several, nearest, takes, text
from adserve.core.words import folded_word

MOST = 200
"""Values of a list."""
MOST_HOURS = 50
MOST_NAMES = 20
"""Names of key-values."""
LONGEST_WORD = 60
"""Characters of a label or value, as it is compared."""
KV_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
LANGUAGE = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")
LONGEST_LANGUAGE = 35
"""Characters of a tag, as RFC 5646 recommends."""
COUNTRY = re.compile(r"[A-Za-z]{2}")
_LISTS = ("any", "all", "none")
_WORD = text(LONGEST_WORD)
_URL = text(2048)


@takes(type="string", minLength=1, maxLength=LONGEST_WORD)
def word(value: Any) -> str:
    """A label or a value, in any script."""
    found = folded_word(_WORD(value))
    if not found:
        raise ValueError("must not be empty")
    if "," in found:
        raise ValueError("must not hold a comma: in a request it separates values")
    if len(found) > LONGEST_WORD:
        raise ValueError(f"takes at most {LONGEST_WORD} characters, in lower case")
    return found


@takes(type="string", minLength=1, maxLength=2048, examples=["news.example/world/*"])
def address(value: Any) -> str:
    """A pattern of addresses."""
    return _URL(pattern(_URL(value)))  # decoding can bring in what text may not hold


@takes(type="string", minLength=2, maxLength=LONGEST_LANGUAGE, examples=["en-GB"])
def language(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_LANGUAGE or not LANGUAGE.fullmatch(value):
        raise ValueError("takes language tags, as en or pt-BR")
    return value.lower().replace("_", "-")


@takes(type="string", pattern=f"^{COUNTRY.pattern}$", examples=["IN"])
def country(value: Any) -> str:
    if not isinstance(value, str) or not COUNTRY.fullmatch(value):
        raise ValueError("takes countries as two letters, as IN or GB")
    if value.upper() == "UK":
        raise ValueError("takes GB for the United Kingdom")
    return value.upper()


@takes(type="string", enum=list(DEVICES[1:]))
def device(value: Any) -> str:
    if not isinstance(value, str) or value not in DEVICES[1:]:
        raise ValueError(f"takes {', '.join(DEVICES[1:])}{nearest(str(value), DEVICES[1:])}")
    return value


@takes(type="string", maxLength=LONGEST, examples=["mon-fri 09:00-17:00"])
def hours(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError('takes hours like "mon-fri 09:00-17:00"')
    return hours_text(value)


class _Reading:
    """The members of a target, read with everything that is wrong."""

    def __init__(self) -> None:
        self.problems: list[tuple[tuple[str | int, ...], str]] = []

    def members(self, value: Any, path: tuple[str | int, ...], known: tuple[str, ...]) -> dict[str, Any]:
        """The members of an object that are there; null stands for one that is not."""
        if not isinstance(value, dict):
            self.problems.append((path, f"takes an object of {', '.join(known)}"))
            return {}
        for name in value:
            if name not in known:
                near = nearest(str(name), known)
                self.problems.append(((*path, name), f"is no member: takes {', '.join(known)}{near}"))
        return {name: value[name] for name in known if value.get(name) is not None}

    def list_of(self, value: Any, path: tuple[str | int, ...], check: Check[str], most: int) -> tuple[str, ...]:
        if not isinstance(value, (list, tuple)) or len(value) > most:
            self.problems.append((path, f"takes a list of at most {most}"))
            return ()
        found: dict[str, None] = {}
        for at, one in enumerate(value):
            try:
                found[check(one)] = None
            except ValueError as problem:
                self.problems.append(((*path, at), str(problem)))
        return tuple(found)

    def rule(self, value: Any, path: tuple[str | int, ...], check: Check[str], *, one: bool) -> Rule:
        """`one`: a request says one value at most, so that several are never there at once."""
        lists = self.members(value, path, _LISTS)
        found = {name: self.list_of(given, (*path, name), check, MOST) for name, given in lists.items()}
        if one and len(found.get("all", ())) > 1:
            self.problems.append(((*path, "all"), "takes one value at most: no request has two. Use any"))
        return Rule(**found)


_RULES: Mapping[str, Check[str]] = {
    "labels": word,
    "urls": address,
    "languages": language,
    "countries": country,
    "devices": device,
}
_MEMBERS = (*_RULES, "kv", "hours")


def _rule_schema(check: Check[str]) -> Schema:
    lists = {"type": ["array", "null"], "items": check.schema, "maxItems": MOST}
    return {"type": ["object", "null"], "properties": dict.fromkeys(_LISTS, lists), "additionalProperties": False}


@takes(
    type="object",
    properties={
        **{name: _rule_schema(check) for name, check in _RULES.items()},
        "kv": {
            "type": ["object", "null"],
            "additionalProperties": _rule_schema(word),
            "propertyNames": {"pattern": f"^{KV_NAME.pattern}$"},
        },
        "hours": {"type": ["array", "null"], "items": hours.schema, "maxItems": MOST_HOURS},
    },
    additionalProperties=False,
    examples=[{"labels": {"none": ["conflict"]}, "hours": ["mon-fri 09:00-17:00"]}],
)
def target(value: Any) -> Target | None:
    """All rules; without any there is no target."""
    reading = _Reading()
    given = reading.members(value, (), _MEMBERS)
    found: dict[str, Any] = {
        name: reading.rule(given[name], (name,), check, one=name in ("countries", "devices"))
        for name, check in _RULES.items()
        if name in given
    }
    if "kv" in given:
        found["kv"] = _kv(given["kv"], reading)
    if "hours" in given:
        found["hours"] = reading.list_of(given["hours"], ("hours",), hours, MOST_HOURS)
    if reading.problems:
        raise Several(reading.problems)
    # an empty rule is none, also in what is stored: one that was given would be shown
    left = {name: one for name, one in found.items() if one and one != Rule()}
    return Target(**left) if left else None


def _kv(value: Any, reading: _Reading) -> dict[str, Rule]:
    if not isinstance(value, dict):
        reading.problems.append((("kv",), 'takes an object of names with their rules, as {"section": {"any": []}}'))
        return {}
    rules: dict[str, Rule] = {}
    for name, given in value.items():
        if not KV_NAME.fullmatch(name):
            reading.problems.append((("kv", name), "takes names of 1 to 64 of A-Z, a-z, 0-9 and _ . -"))
        elif given is not None and (rule := reading.rule(given, ("kv", name), word, one=False)) != Rule():
            rules[name] = rule
    if len(rules) > MOST_NAMES:
        reading.problems.append((("kv",), f"takes at most {MOST_NAMES} names"))
    return rules
