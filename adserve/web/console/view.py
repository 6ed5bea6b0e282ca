"""The templates of the console, and the few functions that they know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from adserve.core.schedule import utc_label
from adserve.errors import Problem
from adserve.web.console.static import STAMPS

DONE: dict[str, str] = {
    "created": "Created.",
    "saved": "Saved.",
    "archived": "Archived.",
    "restored": "In use again.",
    "paused": "Paused: it stops serving within a second.",
    "resumed": "Active again.",
    "approved": "Approved: it serves within a second.",
    "rejected": "Rejected: it is off every page within a second.",
    "cloned": "Cloned: paused until you let it serve. Creatives that came along wait for review.",
    "deleted": "Deleted.",
    "revoked": "Revoked.",
    "sent": "Sent to review.",
    "disabled": "Disabled: signed out everywhere, and kept out.",
    "enabled": "May sign in again.",
    "out-everywhere": "Signed out everywhere; links to sign in or to a password work no more.",
    "out-elsewhere": "Signed out everywhere else.",
    "ended": "That session has ended.",
    "password-changed": "Your password is another; you are signed out everywhere else.",
    "factor-removed": "No second factor any more.",
    "signed-out": "You are signed out.",
}
"""What a page says was done, by the word in its address: nothing of the address itself is shown."""


def problem_of(problems: Sequence[Problem], name: str) -> str:
    """What is wrong with a member of a form, also further inside it."""
    at = f"/{name}"
    found = [one for one in problems if one.pointer == at or one.pointer.startswith(f"{at}/")]
    return "; ".join(one.detail for one in found)


def others(problems: Sequence[Problem], names: Sequence[str]) -> list[str]:
    """What is wrong with anything that the form has no field for."""
    return [told(one) for one in problems if one.pointer.strip("/").partition("/")[0] not in names]


def told(problem: Problem) -> str:
    """What a list says: the words of the member, and what is wrong with it.

    >>> told(Problem("/click_url", "is required")), told(Problem("/trackers/0", "takes https"))
    ('click url: is required', 'trackers, 0: takes https')
    """
    member, *inside = (one.replace("~1", "/").replace("~0", "~") for one in problem.pointer.split("/")[1:] or [""])
    about = ", ".join((member.replace("_", " "), *inside))
    return f"{about}: {problem.detail}" if about else problem.detail


def static_url(name: str) -> str:
    return f"/console/static/{name}?v={STAMPS[name]}"


def number(value: Any) -> str:
    """A count in groups of three digits, or a dash for what is not known.

    >>> number(1234567), number(None)
    ('1,234,567', '-')
    """
    return "-" if value is None else f"{value:,}"


templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,  # for every name
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
templates.globals |= {"problem_of": problem_of, "others": others, "static_url": static_url, "DONE": DONE}
templates.filters |= {"number": number, "moment": utc_label}


def render(template: str, **values: Any) -> str:
    """A template of ours over values, which are never templates."""
    return templates.get_template(template).render(**values)
