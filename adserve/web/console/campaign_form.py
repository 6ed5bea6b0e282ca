"""The form of a campaign: its fields to the members of the contract, and back.

DESIGN. Fields of rules are named by the way to their member (`target/labels/any`), so that what is wrong with it finds
its field by itself. A flight is asked for as days, the last one included, with times for whoever wants them; what is
stored is half-open, as the API has it. What only a form can get wrong (a number without its unit) is told
together with what the flow finds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from adserve.core.model import Campaign, Rule
from adserve.core.schedule import parse_day, zone
from adserve.errors import Problem
from adserve.web.console.form import Form
from adserve.web.console.slots import whole_of

RULES = ("labels", "urls", "languages", "countries", "devices")
LISTS = ("any", "all", "none")
CAPS = tuple((kind, what) for kind in ("total", "daily") for what in ("impressions", "clicks"))
GOALS = ("impressions", "clicks", "share")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?")


def fields_of(campaign: Campaign | None) -> dict[str, Any]:
    """What the fields show of a campaign, by their names; of None those of a new one."""
    if campaign is None:
        return {**dict.fromkeys(_names(), ""), "weight": "1", "tier": "standard", "state": "active", "unknown": "serve"}
    tz, goal, seen, paid = zone(campaign.zone), campaign.goal, campaign.frequency, campaign.price
    starts, starts_time = _day_of(campaign.starts, campaign.starts_at, tz, last=False)
    ends, ends_time = _day_of(campaign.ends, campaign.ends_at, tz, last=True)
    kind = next((one for one in GOALS if goal is not None and getattr(goal, one) is not None), "")
    found: dict[str, Any] = {
        **{name: getattr(campaign, name) for name in ("name", "tier", "weight", "timezone", "pacing", "state")},
        **{"starts": starts, "starts_time": starts_time, "ends": ends, "ends_time": ends_time},
        **{"goal_kind": kind, "goal": getattr(goal, kind) if kind else ""},
        **{"limit": seen.limit if seen else "", "window": seen.window if seen else ""},
        **{"unknown": seen.unknown if seen else "serve"},
        **{"model": paid.model if paid else "", "currency": paid.currency if paid else ""},
        **{"amount": _amount(paid.micros) if paid else ""},
        **{name: "\n".join(getattr(campaign, name)) for name in ("categories", "excludes")},
    }
    for cap, what in CAPS:
        found[f"{cap}_{what}"] = getattr(getattr(campaign.caps, cap), what) if campaign.caps is not None else ""
    target = campaign.target
    for name in RULES:
        rule = getattr(target, name) if target is not None else Rule()
        found |= {f"target/{name}/{one}": "\n".join(getattr(rule, one)) for one in LISTS}
    kv = target.kv if target is not None else {}
    for one in LISTS:
        pairs = ((name, getattr(rule, one)) for name, rule in kv.items())
        found[f"kv_{one}"] = "\n".join(f"{name}={', '.join(values)}" for name, values in pairs if values)
    found["target/hours"] = "\n".join(target.hours) if target is not None else ""
    return {name: "" if value is None else value for name, value in found.items()}


def _names() -> list[str]:
    """Of all fields but the slots, which have boxes."""
    words = "name tier weight timezone pacing state starts starts_time ends ends_time goal_kind goal limit window "
    names = f"{words} unknown model amount currency categories excludes target/hours".split()
    names += [f"{cap}_{what}" for cap, what in CAPS] + [f"kv_{one}" for one in LISTS]
    return names + [f"target/{rule}/{one}" for rule in RULES for one in LISTS]


def body_of(form: Form, tz: ZoneInfo) -> tuple[dict[str, Any], list[Problem]]:
    """The members that a form says, all of them, and what is wrong with it as a form. `tz`: the zone of its times."""
    problems: list[Problem] = []
    body: dict[str, Any] = {name: form.text(name) or None for name in ("name", "tier", "timezone", "pacing")}
    body |= {"weight": whole_of(form.text("weight")), "slots": list(form.all("slots"))}
    body["starts"] = _moment_of(form, "starts", tz, problems)
    body["ends"] = _moment_of(form, "ends", tz, problems)
    body["goal"] = _goal(form, problems)
    caps = {cap: {what: whole_of(form.text(f"{cap}_{what}")) for what in ("impressions", "clicks")} for cap, _ in CAPS}
    body["caps"] = caps if any(one is not None for each in caps.values() for one in each.values()) else None
    body["frequency"] = _frequency(form)
    body["price"] = _price(form, problems)
    body |= {name: form.lines(name) for name in ("categories", "excludes")}
    body["target"] = _target(form, problems)
    if form.text("state"):
        body["state"] = form.text("state")
    return body, problems


def _goal(form: Form, problems: list[Problem]) -> dict[str, Any] | None:
    kind, amount = form.text("goal_kind"), form.text("goal")
    if not kind and not amount:
        return None
    if not kind:
        problems.append(Problem("/goal", "say what it is a number of, or leave it empty"))
        return None
    if not amount:
        problems.append(Problem("/goal", "say how many, or choose no goal"))
        return None
    return {kind: whole_of(amount)}


def _frequency(form: Form) -> dict[str, Any] | None:
    if not form.text("limit"):
        return None
    window = form.text("window") or "day"
    return {"limit": whole_of(form.text("limit")), "window": window, "unknown": form.text("unknown") or "serve"}


def _price(form: Form, problems: list[Problem]) -> dict[str, Any] | None:
    model, amount, currency = form.text("model"), form.text("amount"), form.text("currency").upper()
    if not model and not amount:
        return None
    if not model:
        problems.append(Problem("/price", "say what it is paid for, or leave the amount empty"))
        return None
    return {"model": model, "amount": amount, "currency": currency}


def _target(form: Form, problems: list[Problem]) -> dict[str, Any]:
    found: dict[str, Any] = {name: {one: _values(form, name, one) for one in LISTS} for name in RULES}
    kv: dict[str, dict[str, list[str]]] = {}
    for one in LISTS:
        for line in _lines(form.text(f"kv_{one}")):
            name, equals, values = line.partition("=")
            if not equals or not name.strip() or not values.strip():
                problems.append(Problem("/target/kv", f"takes lines like section=sports; “{line[:60]}” is none"))
                continue
            into = kv.setdefault(name.strip(), {}).setdefault(one, [])
            into += [value.strip() for value in values.split(",") if value.strip()]
    return {**found, "kv": kv, "hours": _lines(form.text("target/hours"))}


def _values(form: Form, rule: str, which: str) -> list[str]:
    """Commas part values too, save in addresses and hours, which may hold them."""
    name = f"target/{rule}/{which}"
    if rule == "devices":
        return [value for text in form.all(name) for value in _lines(text.replace(",", "\n"))]
    return _lines(form.text(name)) if rule == "urls" else form.lines(name)


def _lines(text: str) -> list[str]:
    return [one.strip() for one in text.splitlines() if one.strip()]


def _moment_of(form: Form, name: str, tz: ZoneInfo, problems: list[Problem]) -> str | None:
    """A day as it is typed, of an end the day after; with a time the moment in `tz`. What is no day stays as it is, for
    the check to refuse, or to take: a whole RFC 3339 time may be typed too."""
    text, clock = form.text(name), form.text(f"{name}_time")
    if clock and not _TIME.fullmatch(clock):
        problems.append(Problem(f"/{name}", "takes a time of day like 09:30"))
        return text or None
    if not text:
        if clock:
            problems.append(Problem(f"/{name}", "give the day too, or leave the time away"))
        return None
    try:
        day = parse_day(text)
    except ValueError:
        return text
    if clock:
        return datetime.combine(day, time.fromisoformat(clock), tz).isoformat()
    return (day + timedelta(days=1)).isoformat() if name == "ends" else text


def _day_of(text: str | None, at: int | None, tz: ZoneInfo, *, last: bool) -> tuple[str, str]:
    """A stored moment as its two fields: the day, of an end the last one, and the time, or nothing."""
    if text is None or at is None:
        return "", ""
    with suppress(ValueError):
        day: date = parse_day(text)
        return (day - timedelta(days=1) if last else day).isoformat(), ""
    local = datetime.fromtimestamp(at, tz)
    return local.date().isoformat(), f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"


def _amount(micros: int) -> str:
    amount = (Decimal(micros) / 1_000_000).quantize(Decimal("0.001"))
    return f"{amount:.2f}" if amount == round(amount, 2) else f"{amount}"


SECTIONS: Mapping[str, Sequence[str]] = {
    "limits": ("pacing", *(f"{cap}_{what}" for cap, what in CAPS), "limit", "caps", "frequency"),
    "target": (
        *(f"target/{rule}/{one}" for rule in RULES for one in LISTS),
        *(f"kv_{one}" for one in LISTS),
        "target/kv",
    ),
    "hours": ("target/hours",),
    "beside": ("categories", "excludes"),
    "price": ("model", "amount", "price"),
    "time": ("timezone", "starts_time", "ends_time"),
}
"""Parts of the form that stand behind a line, to the fields in which they hold something."""


def open_sections(fields: Mapping[str, Any], form: Form, problems: Sequence[Problem]) -> set[str]:
    """Those that hold something, stored, typed or wrong. `fields`: what is stored."""
    wrong = {one.pointer.strip("/") for one in problems}
    found = set()
    for section, names in SECTIONS.items():
        held = any(fields.get(name) or form.text(name) for name in names)
        if held or any(at == name or at.startswith(f"{name}/") for at in wrong for name in names):
            found.add(section)
    return found
