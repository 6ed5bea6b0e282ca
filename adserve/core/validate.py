"""Checks: one value of a body or a query to what is stored, or a ValueError that says what it takes.

Numbers are numbers and text is text: `"10"`, `true` and `1e308` are no weights. Beside each check stands its JSON
Schema, from which the description of the interface is made (`adserve.web.api.openapi`).
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from adserve.core.model import Price, Size
from adserve.core.schedule import parse_moment, zone
from adserve.core.urls import UrlError, check_landing_url, check_origin
from adserve.errors import Invalid, Problem

ID = re.compile(r"[a-z0-9-]{1,64}")
HTTP = "^[Hh][Tt][Tt][Pp][Ss]?://"
_AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Schema = Mapping[str, Any]
"""A JSON Schema (2020-12)."""
_JOINERS = "\u200c\u200d"
"""Invisible, but spelling needs them: Indic scripts, Persian, emoji."""


class Several(ValueError):
    """What is wrong in the members of a value: for each the way to it and what it takes."""

    def __init__(self, problems: Sequence[tuple[tuple[str | int, ...], str]]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, path))} {detail}".strip() for path, detail in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Check(Generic[T_co]):
    """A check and the schema of what it takes.

    The schema is never narrower than the check. What it cannot say (a day of the calendar, an invisible
    character) only the function refuses."""

    run: Callable[[Any], T_co]
    schema: Schema

    def __call__(self, value: Any) -> T_co:
        return self.run(value)

    def noted(self, description: str, **schema: Any) -> Check[T_co]:
        """The same check of a member that means something."""
        return replace(self, schema={**self.schema, "description": description, **schema})


def takes(**schema: Any) -> Callable[[Callable[[Any], T]], Check[T]]:
    """Makes a function a check, with its schema."""
    return lambda run: Check(run, schema)


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


@takes(type="string", pattern=f"^{ID.pattern}$", description="1 to 64 of a-z, 0-9 and -.")
def check_id(value: Any) -> str:
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise ValueError("takes 1 to 64 of a-z, 0-9 and -")
    return value


@takes(type="string", pattern="^[a-z0-9-]{1,64}/[a-z0-9-]{1,64}$", examples=["news/top"])
def check_place(value: Any) -> str:
    """The id of a slot."""
    if not isinstance(value, str) or value.count("/") != 1 or not all(map(ID.fullmatch, value.split("/"))):
        raise ValueError("takes a slot as site/name, each 1 to 64 of a-z, 0-9 and -")
    return value


def text(longest: int, *, empty: bool = False) -> Check[str]:
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

    return Check(check, {"type": "string", "maxLength": longest, **({} if empty else {"minLength": 1})})


def markup(longest: int) -> Check[str]:
    """Markup as it was sent, trimmed: lines and tabs are fine in it, characters that nobody would see are not."""

    def check(given: Any) -> str:
        if not isinstance(given, str):
            raise ValueError("takes text")
        value = given.strip()
        if not value:
            raise ValueError("must not be empty")
        if len(value) > longest:
            raise ValueError(f"takes at most {longest} characters")
        categories = {unicodedata.category(c) for c in set(value) - set("\n\r\t" + _JOINERS)}
        if categories & {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}:
            raise ValueError("holds control or private characters")
        if "Cf" in categories:
            raise ValueError("holds invisible or direction characters: write them as references, as &rlm;")
        return value

    return Check(check, {"type": "string", "minLength": 1, "maxLength": longest})


def whole(low: int, high: int) -> Check[int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"takes a whole number from {low} to {high}")
        return value

    return Check(check, {"type": "integer", "minimum": low, "maximum": high})


def one_of(*choices: str) -> Check[Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"takes one of {', '.join(choices)}")
        return value

    return Check(check, {"type": "string", "enum": list(choices)})


def list_of(check_one: Check[str], most: int) -> Check[tuple[str, ...]]:
    def check(value: Any) -> tuple[str, ...]:
        if not isinstance(value, (list, tuple)) or len(value) > most:
            raise ValueError(f"takes a list of at most {most}")
        return tuple(dict.fromkeys(check_one(one) for one in value))

    return Check(check, {"type": "array", "items": check_one.schema, "maxItems": most})


@takes(type="string", pattern="^[0-9a-f]{64}$")
def digest(value: Any) -> str:
    """A SHA-256 in hexadecimal."""
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError("takes the hash of a content: 64 of 0-9 and a-f")
    return value


@takes(type="string", pattern="^[0-9]+x[0-9]+$", examples=["728x90"])
def size(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("takes sizes like 728x90")
    return str(Size.parse(value))


@takes(type="string", pattern="^[A-Za-z]", maxLength=64, examples=["Asia/Kolkata"])
def timezone(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("takes an IANA time zone, as Asia/Kolkata")
    return zone(value).key


@takes(type="string", pattern=HTTP, maxLength=2048, examples=["https://news.example"])
def origin(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("takes origins like https://news.example")
    try:
        return check_origin(value)
    except UrlError as problem:
        raise ValueError(str(problem)) from None


@takes(type="string", pattern=HTTP, maxLength=2048, examples=["https://shop.example/offer"])
def landing(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("takes an address like https://shop.example/offer")
    try:
        return check_landing_url(value)
    except UrlError as problem:
        raise ValueError(str(problem)) from None


@takes(type="string", pattern="^[Hh][Tt][Tt][Pp][Ss]://", maxLength=2048, examples=["https://count.example/i?r={random}"])
def tracker(value: Any) -> str:
    """What is called and not followed; the same rules, and a page over https may call nothing else."""
    url = landing(value)
    if not url.startswith("https://"):
        raise ValueError("must begin with https://")
    return url


@takes(type="string", pattern=rf"^{ID.pattern}/(\*|{ID.pattern})$", examples=["news/top", "news/*"])
def place(value: Any) -> str:
    """`site/slot` or `site/*`."""
    site, slash, slot = value.partition("/") if isinstance(value, str) else ("", "", "")
    if not slash or not ID.fullmatch(site) or not (slot == "*" or ID.fullmatch(slot)):
        raise ValueError("takes slots like news/top or news/*")
    return f"{site}/{slot}"


_DAYS = re.compile(r"[0-9]{1,4}d")


@takes(type="string", pattern="^([0-9]{1,4}d$|[0-9]{4}-[0-9]{2}-[0-9]{2})", maxLength=40, examples=["90d"])
def moment_or_days(value: Any) -> str:
    if isinstance(value, str) and _DAYS.fullmatch(value):
        if not value.strip("0d"):
            raise ValueError("takes at least 1d")
        return value
    try:
        return moment_text(value)
    except ValueError:
        raise ValueError("takes days like 90d, a date or an RFC 3339 time") from None


@takes(type="string", pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}", maxLength=40, examples=["2026-11-24"])
def moment_text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError("takes a local date or an RFC 3339 time")
    parse_moment(value, ZoneInfo("UTC"))
    return value


@takes(
    type="object",
    properties={
        "model": {"type": "string", "enum": ["cpm", "cpc", "flat"]},
        "amount": {"type": "string", "pattern": f"^{_AMOUNT.pattern}$", "examples": ["2.50"]},
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["INR"]},
    },
    required=["model", "amount", "currency"],
    additionalProperties=False,
)
def price(value: Any) -> Price:
    """`{"model", "amount", "currency"}`; amounts are decimal text of at most 3 decimals."""
    if not isinstance(value, dict) or set(value) != {"model", "amount", "currency"}:
        raise ValueError('takes {"model", "amount", "currency"}')
    model, amount, currency = value["model"], value["amount"], value["currency"]
    if model not in ("cpm", "cpc", "flat"):
        raise ValueError("model takes one of cpm, cpc, flat")
    if not isinstance(currency, str) or not re.fullmatch(r"[A-Z]{3}", currency):
        raise ValueError("currency takes three capital letters, as INR")
    if not isinstance(amount, str) or not _AMOUNT.fullmatch(amount):
        raise ValueError('amount takes decimal text like "2.50", with at most 3 decimals')
    try:
        return Price(model, int(Decimal(amount) * 1_000_000), currency)
    except InvalidOperation:
        raise ValueError("amount takes decimal text") from None


def folded(value: str) -> str:
    """Text as it is compared: NFC and case-folded, in any script."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", value).casefold())
