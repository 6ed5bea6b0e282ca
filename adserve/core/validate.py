"""Bodies to values, collecting everything that is wrong. A `Form` is read field by field.

Numbers are numbers and text is text: `"10"`, `true` and `1e308` are no weights. Members that nobody
asked for are problems, and so are those of the contract that this version has not built.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from adserve.core.model import Price, Size
from adserve.core.schedule import parse_moment, zone
from adserve.core.urls import UrlError, check_landing_url, check_origin
from adserve.errors import Invalid, Problem

ID = re.compile(r"[a-z0-9-]{1,64}")
T = TypeVar("T")
_JOINERS = "\u200c\u200d"
"""Invisible, but spelling needs them: Indic scripts, Persian, emoji."""


class NotSupported(ValueError):
    """A value of the contract that this version has not built."""


def pointer(*names: str | int) -> str:
    """A JSON pointer (RFC 6901). Names that nobody could read are not echoed."""
    shown = (name if name.isprintable() and len(name) < 80 else "(unprintable)" for name in map(str, names))
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in shown)


def nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """` (did you mean sites?)` where one of `known` is near enough to be meant, else nothing. `prefix`
    is what all begin with, and no likeness.

    0.7 forgives two letters that swapped places, and takes no other word for the one meant.
    """
    words = [one.removeprefix(prefix) for one in known]
    near = difflib.get_close_matches(name[:80].removeprefix(prefix), words, 1, 0.7)
    return f" (did you mean {prefix}{near[0]}?)" if near else ""


def members(body: Any) -> dict[str, Any]:
    """A body that is an object. Of any other nothing more can be said, so Invalid at once."""
    if not isinstance(body, dict):
        raise Invalid([Problem("", "the body must be a JSON object")])
    return body


class Form:
    """One body. `problems` grows as fields are taken; `finish` raises them all."""

    def __init__(self, body: Any, *, not_supported: Mapping[str, Any] | None = None) -> None:
        self.problems: list[Problem] = []
        self._body = members(body)
        self._left = set(self._body)
        for name, neutral in (not_supported or {}).items():
            self._left.discard(name)
            if self._body.get(name) not in (None, neutral, {}, []):
                self.problem(name, "is not supported in this version", "not_supported")

    def problem(self, name: str, detail: str, code: str = "invalid") -> None:
        self.problems.append(Problem(f"/{name}", detail, code))

    def take(self, name: str, default: T, check: Callable[[Any], T], *, required: bool = False) -> T:
        """One member through its check; `default` when it is absent, null or wrong."""
        self._left.discard(name)
        value = self._body.get(name)
        if value is None:
            if required:
                self.problem(name, "is required", "required")
            return default
        try:
            return check(value)
        except ValueError as problem:
            code = "not_supported" if isinstance(problem, NotSupported) else "invalid"
            self.problem(name, str(problem), code)
            return default

    def has(self, name: str) -> bool:
        """Whether a member was sent with a value."""
        return self._body.get(name) is not None

    def refuse(self, name: str, detail: str) -> None:
        """A member that others of its kind have, and this one has not."""
        self._left.discard(name)
        if self.has(name):
            self.problem(name, detail)

    def finish(self) -> None:
        """Raises Invalid with all problems. `not_supported` is the code of the whole when any is."""
        for name in sorted(self._left):
            self.problems.append(Problem(pointer(name), "is no member of this object", "unknown_field"))
        if self.problems:
            unsupported = any(p.code == "not_supported" for p in self.problems)
            raise Invalid(self.problems, code="not_supported" if unsupported else None)


def check_id(value: Any) -> str:
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise ValueError("takes 1 to 64 of a-z, 0-9 and -")
    return value


def text(longest: int, *, empty: bool = False) -> Callable[[Any], str]:
    """Text in NFC without control, direction or invisible characters, trimmed."""

    def check(given: Any) -> str:
        if not isinstance(given, str):
            raise ValueError("takes text")
        if len(given) > longest * 4:
            raise ValueError(f"takes at most {longest} characters")
        value: str = unicodedata.normalize("NFC", given).strip()
        if any(unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp") for c in value):
            raise ValueError("holds control or private characters")
        if any(unicodedata.category(c) == "Cf" and c not in _JOINERS for c in value):
            raise ValueError("holds invisible or direction characters")
        if sum(unicodedata.combining(c) > 0 for c in value) > max(8, len(value) // 2):
            raise ValueError("holds too many combining marks")
        if not value.strip(_JOINERS) and not empty:
            raise ValueError("must not be empty")
        if len(value) > longest:
            raise ValueError(f"takes at most {longest} characters")
        return value

    return check


def whole(low: int, high: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"takes a whole number from {low} to {high}")
        return value

    return check


def one_of(*choices: str, later: tuple[str, ...] = ()) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if isinstance(value, str) and value in later:
            raise NotSupported(f"{value} is not supported in this version")
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"takes one of {', '.join(choices)}")
        return value

    return check


def list_of(check_one: Callable[[Any], str], most: int) -> Callable[[Any], tuple[str, ...]]:
    def check(value: Any) -> tuple[str, ...]:
        if not isinstance(value, (list, tuple)) or len(value) > most:
            raise ValueError(f"takes a list of at most {most}")
        return tuple(dict.fromkeys(check_one(one) for one in value))

    return check


def size(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("takes sizes like 728x90")
    return str(Size.parse(value))


def timezone(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("takes an IANA time zone, as Asia/Kolkata")
    return zone(value).key


def origin(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("takes origins like https://news.example")
    try:
        return check_origin(value)
    except UrlError as problem:
        raise ValueError(str(problem)) from None


def landing(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("takes an address like https://shop.example/offer")
    try:
        return check_landing_url(value)
    except UrlError as problem:
        raise ValueError(str(problem)) from None


def place(value: Any) -> str:
    """`site/slot` or `site/*`."""
    site, slash, slot = value.partition("/") if isinstance(value, str) else ("", "", "")
    if not slash or not ID.fullmatch(site) or not (slot == "*" or ID.fullmatch(slot)):
        raise ValueError("takes slots like news/top or news/*")
    return f"{site}/{slot}"


def moment_text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError("takes a local date or an RFC 3339 time")
    parse_moment(value, ZoneInfo("UTC"))
    return value


def window(form: Form, tz: ZoneInfo) -> tuple[str | None, str | None, int | None, int | None]:
    """`starts`, `ends` as written and as epoch seconds; half-open."""
    starts = form.take("starts", None, moment_text)
    ends = form.take("ends", None, moment_text)
    starts_at = parse_moment(starts, tz) if starts else None
    ends_at = parse_moment(ends, tz) if ends else None
    if starts_at is not None and ends_at is not None and starts_at >= ends_at:
        form.problem("ends", "must lie after starts")
    return starts, ends, starts_at, ends_at


def price(value: Any) -> Price:
    """`{"model", "amount", "currency"}`; amounts are decimal text of at most 3 decimals."""
    if not isinstance(value, dict) or set(value) != {"model", "amount", "currency"}:
        raise ValueError('takes {"model", "amount", "currency"}')
    model, amount, currency = value["model"], value["amount"], value["currency"]
    if model not in ("cpm", "cpc", "flat"):
        raise ValueError("model takes one of cpm, cpc, flat")
    if not isinstance(currency, str) or not re.fullmatch(r"[A-Z]{3}", currency):
        raise ValueError("currency takes three capital letters, as INR")
    if not isinstance(amount, str) or not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", amount):
        raise ValueError('amount takes decimal text like "2.50", with at most 3 decimals')
    try:
        return Price(model, int(Decimal(amount) * 1_000_000), currency)
    except InvalidOperation:
        raise ValueError("amount takes decimal text") from None
