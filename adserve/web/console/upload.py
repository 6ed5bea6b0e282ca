"""Upload and edit of creatives: the limits first, then a form of the kind's own fields."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from starlette.responses import Response

from adserve.core.gate import part_of
from adserve.core.model import Campaign, Creative
from adserve.flows import access, manage, revisions, submit
from adserve.flows.content import TRACKERS, Parts
from adserve.web.console.creatives import CREATIVES, OWN, UPLOADERS
from adserve.web.console.form import Upload, whole
from adserve.web.console.page import Call, Page, shows_again

KINDS = (
    ("image", "Picture", "PNG, JPEG, GIF, WebP or AVIF, still or moving."),
    ("text", "Text", "A title and some words, laid out for each slot."),
    ("html", "HTML", "Markup in a sandboxed frame of a fixed size."),
    ("passback", "Passback", "Leaves the slot to what the page itself has for it."),
)
FIELDS = {
    "image": ("alt", "click_url"),
    "text": ("title", "body", "button", "click_url"),
    "html": ("html", "width", "height", "click_url"),
    "passback": ("width", "height"),
}
"""A kind to the texts of its content. What belongs to other kinds is not sent."""
FILES = {"image": ("file", "file_2x", "file_dark", "file_dark_2x"), "text": ("file",)}
FREE = ("name", "weight", "companions", "starts", "ends")
NUMBERS = ("width", "height", "weight")
NAMES = (*FREE, *{name: 1 for names in (*FIELDS.values(), *FILES.values()) for name in names}, "sizes", TRACKERS)


async def choose(call: Call) -> Response:
    """Which campaign an upload is for."""
    found = [one for one in await access.visible(call.services, call.account, "campaign") if one.state != "archived"]
    return call.show("upload-choose.html.j2", title="New creative", campaigns=found)


def _kind(call: Call) -> str:
    asked = call.form.text("kind") or call.query.get("kind", "")
    return asked if asked in FIELDS else "image"


async def form(call: Call) -> Response:
    """The form of one kind, below what it has to keep to."""
    campaign = await manage.get_thing(call.services, "campaign", call.path["id"])
    assert isinstance(campaign, Campaign)  # noqa: S101 - what the store holds under this kind
    return await _show(call, campaign, _kind(call), None)


async def edit_form(call: Call) -> Response:
    one = await revisions.get_creative(call.services, call.path["id"])
    campaign = await manage.get_thing(call.services, "campaign", one.campaign)
    assert isinstance(campaign, Campaign)  # noqa: S101 - what the store holds under this kind
    return await _show(call, campaign, one.kind, one)


OPTIONAL = {
    "image": (
        ("file_2x", "for dense screens"),
        ("file_dark", "for dark pages"),
        ("file_dark_2x", "for dark pages on dense screens"),
        ("sizes", "all further sizes"),
    ),
    "text": (("file", "the picture"),),
}
"""A kind to the pictures that an edit may take off, in words."""


async def _show(call: Call, campaign: Campaign, kind: str, one: Creative | None) -> Response:
    return call.show(
        "creative-form.html.j2",
        title=f"Change {one.name}" if one else f"New creative for {campaign.name}",
        campaign=campaign,
        kind=kind,
        kinds=KINDS,
        one=one,
        content=one.content if one else None,
        optional=_there(one) if one else (),
        limits=await submit.limits(call.services, campaign.id),
        names=NAMES,
        chosen=sorted(one.name for files in call.form.files.values() for one in files if one.name),
    )


def _there(one: Creative) -> list[tuple[str, str]]:
    """Pictures that may be taken off."""
    parts = {part_of(one.content, file).partition("/")[0] for file in one.content.pictures}
    return [(name, words) for name, words in OPTIONAL.get(one.kind, ()) if name in parts]


def body_of(call: Call, kind: str) -> dict[str, Any]:
    """What a form says, as the API takes it. An empty field is null: left out of what is new, and emptied in an edit.
    Text that is no number goes on as it is, so that the gate says what is wrong with it."""
    found: dict[str, Any] = {}
    for name in (*FREE, *FIELDS[kind]):
        text = call.form.text(name)
        number = whole(text) if name in NUMBERS else None
        found[name] = text or None if number is None else number
    if kind == "html" and call.may("admin"):
        found[TRACKERS] = [one.strip() for one in call.form.text(TRACKERS).splitlines() if one.strip()] or None
    return found


def _files(call: Call, kind: str) -> dict[str, Upload]:
    """What was chosen, by the name of its part."""
    found = {name: call.form.file(name) for name in FILES.get(kind, ())}
    return {name: one for name, one in found.items() if one is not None}


def _parts(call: Call, kind: str, files: dict[str, Upload]) -> Parts:
    sizes = call.form.files.get("sizes", ()) if kind == "image" else ()
    return Parts(**{name: one.data for name, one in files.items()}, sizes=tuple(one.data for one in sizes if one.data))


@shows_again(form)
async def upload(call: Call) -> Response:
    kind = _kind(call)
    body, files = body_of(call, kind), _files(call, kind)
    if body["name"] is None and kind == "image" and "file" in files:
        body["name"] = PurePath(files["file"].name.replace("\\", "/")).stem[:200] or None
    sent = {name: value for name, value in body.items() if value is not None}
    made = await submit.submit(
        call.services,
        call.path["id"],
        {**sent, "kind": kind},
        _parts(call, kind, files),
        actor=call.actor,
        trusted=call.may("admin"),
    )
    return call.go(f"{CREATIVES}/{made.id}", "sent")


@shows_again(edit_form)
async def save(call: Call) -> Response:
    """Content becomes a new revision; the rest changes at once."""
    before = await revisions.get_creative(call.services, call.path["id"])
    after = await submit.patch_creative(
        call.services,
        before.id,
        body_of(call, before.kind) | dict.fromkeys({*call.form.all("off")} & {*dict(_there(before))}),
        _parts(call, before.kind, _files(call, before.kind)),
        actor=call.actor,
        match=call.match,
        trusted=call.may("admin"),
    )
    new = after.content.revision != before.content.revision
    return call.go(f"{CREATIVES}/{after.id}", "sent" if new else "saved")


PAGES = (
    Page("GET", f"{CREATIVES}/new", choose, UPLOADERS),
    Page("GET", "/console/campaigns/{id}/creatives/new", form, UPLOADERS, "campaign"),
    Page("POST", "/console/campaigns/{id}/creatives/new", upload, UPLOADERS, "campaign", takes_file=True),
    Page("GET", f"{CREATIVES}/{{id}}/edit", edit_form, OWN, "creative"),
    Page("POST", f"{CREATIVES}/{{id}}/edit", save, OWN, "creative", takes_file=True),
)
