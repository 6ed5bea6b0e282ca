"""Creatives: upload, edit of content, edit of what needs no review."""

from __future__ import annotations

import secrets
from typing import Any
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from adserve.core import lifecycle
from adserve.core import validate as v
from adserve.core.form import Form
from adserve.core.match import ANY, Match
from adserve.core.members import CONTENT, FREE, KIND
from adserve.core.members import WORDS as WORDS_OF
from adserve.core.model import Campaign, Content, Creative, CreativeKind, Media, Revision, Slot
from adserve.core.revisions import Kept
from adserve.core.schedule import zone
from adserve.errors import AdserveError, Conflict, Invalid, NotFound, Stale
from adserve.flows.manage import again, booked_slots, get_thing, refresh
from adserve.flows.revisions import keep
from adserve.flows.services import Services
from adserve.intake import images
from adserve.intake.images import encode_off_loop

WORDS = ("file", "title", "body", "alt", "click_url", "width", "height", "html")
_SIZE = ("width", "height")
_MARKUP = {"html": "belongs to html creatives"}
FOREIGN: dict[CreativeKind, dict[str, str]] = {
    "image": dict.fromkeys(("title", "body"), "belongs to text creatives: what a picture says is its alt")
    | _MARKUP
    | dict.fromkeys(_SIZE, "is that of the picture itself"),
    "text": {"alt": "belongs to images: a text creative says it in title and body"}
    | _MARKUP
    | dict.fromkeys(_SIZE, "belongs to pictures: a text takes the room of its slot"),
    "html": dict.fromkeys(("alt", "title", "body"), "belongs to images and texts: markup says all of it itself"),
    "passback": dict.fromkeys(
        ("alt", "title", "body", "html", "click_url"),
        "belongs to what is shown: a passback leaves the slot to the page",
    ),
}
"""Content that a kind of creative has not, and why."""
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


def creative_id() -> str:
    """A new one."""
    return "cr-" + "".join(secrets.choice(_ALPHABET) for _ in range(12))


async def submit(
    services: Services, campaign: str, body: Any, data: bytes | None, *, actor: str, id_: str | None = None
) -> Creative:
    """A new creative, waiting for review. `data` is the picture of an `image`. `id_`: one that nobody has,
    save who makes the same creative."""
    owner = await get_thing(services, "campaign", campaign)
    assert isinstance(owner, Campaign)  # noqa: S101 - what the store holds under this kind
    if owner.state == "archived":
        raise Conflict("the campaign is archived: take it into use first")
    form = Form(body)
    guess: CreativeKind = "image" if data is not None or _means_image(form) else "html" if form.has("html") else "text"
    kind = form.take("kind", guess, KIND)
    fields = form.read(FREE)
    content, media = await _content(services, form, kind, owner, data, None)
    starts_at, ends_at = form.window(fields["starts"], fields["ends"], await _zone(services, owner))
    form.finish()
    serial = await services.catalog.serial("revision")
    content = replace(content, revision=1, serial=serial)
    if media is not None:
        await services.media.put(*media)
    made = Kept(content, int(services.clock()), actor)
    creative = Creative(
        id=id_ or creative_id(),
        serial=await services.catalog.serial("creative"),
        version=0,
        campaign=campaign,
        kind=kind,
        starts_at=starts_at,
        ends_at=ends_at,
        content=content,
        revisions=(Revision(1, serial),),
        **fields,
    )
    await services.revisions.keep(creative.serial, made)
    try:
        return await _store(services, creative, None, actor, "submit")
    except Stale:  # somebody else was as far with it at the same moment
        return await get_creative(services, creative.id)


async def limits(services: Services, campaign: str) -> dict[str, Any]:
    """What an upload to a campaign has to keep to, before it is made."""
    owner = await get_thing(services, "campaign", campaign)
    assert isinstance(owner, Campaign)  # noqa: S101 - what the store holds under this kind
    slots = await booked_slots(services, owner.slots)
    checks = {"name": FREE["name"], **WORDS_OF}
    return {
        "slots": [
            {"slot": one.id, "title": one.title, "sizes": list(one.sizes), "max_kb": one.max_kb} for one in slots
        ],
        "max_upload_bytes": services.max_upload_bytes,
        "max_file_bytes": images.MAX_SERVED_BYTES,
        "types": list(images.TYPES),
        "picture": {"max_side": images.MAX_SIDE, "max_pixels": images.MAX_PIXELS},
        "animation": {
            "max_frames": images.MAX_FRAMES,
            "max_pixels": images.MAX_ANIMATED_PIXELS,
            "max_seconds": images.MAX_LENGTH_MS // 1000,
        },
        "texts": {n: f.check.schema["maxLength"] for n, f in checks.items() if "maxLength" in f.check.schema},
    }


async def patch_creative(
    services: Services, id_: str, patch: Any, data: bytes | None = None, *, actor: str, match: Match = ANY
) -> Creative:
    """Merge patch. Content (file, text, html, alt, click_url, size) makes a new revision that waits for review;
    name, weight, companions and dates do not."""
    return await again(lambda: _patch_once(services, id_, patch, data, actor, match))


async def _patch_once(
    services: Services, id_: str, patch: Any, data: bytes | None, actor: str, match: Match
) -> Creative:
    before = await get_creative(services, id_)
    match.check(before)
    owner = await get_thing(services, "campaign", before.campaign)
    assert isinstance(owner, Campaign)  # noqa: S101 - what the store holds under this kind
    content = before.content
    current: dict[str, Any] = {
        "name": before.name,
        "weight": before.weight,
        "companions": before.companions,
        "starts": before.starts,
        "ends": before.ends,
        "click_url": content.click_url or None,
        "alt": content.alt or None,
        "title": content.title or None,
        "body": content.body or None,
        "html": content.html or None,
    }
    if before.kind in ("html", "passback"):
        current |= {"width": content.width or None, "height": content.height or None}
    known = {name: value for name, value in current.items() if value is not None}
    form = Form({**known, **v.members(patch)})
    fields = form.read(FREE)
    edited, media = await _content(services, form, before.kind, owner, data, content)
    starts_at, ends_at = form.window(fields["starts"], fields["ends"], await _zone(services, owner))
    form.finish()
    after = replace(before, starts_at=starts_at, ends_at=ends_at, **fields)
    if data is not None or edited != content:
        serial = await services.catalog.serial("revision")
        fresh = replace(edited, revision=len(before.revisions) + 1, serial=serial)
        after = lifecycle.edit(after, fresh)
        await keep(services, before, Kept(fresh, int(services.clock()), actor))
    if media is not None:
        await services.media.put(*media)
    return await _store(services, after, before, actor, "edit")


async def get_creative(services: Services, id_: str) -> Creative:
    found = await get_thing(services, "creative", id_)
    assert isinstance(found, Creative)  # noqa: S101 - what the store holds under this kind
    return found


async def find_creative(services: Services, id_: str) -> Creative | None:
    try:
        return await get_creative(services, id_)
    except NotFound:
        return None


async def _store(services: Services, after: Creative, before: Creative | None, actor: str, action: str) -> Creative:
    done = await services.catalog.put("creative", after, before, actor=actor, action=action)
    await refresh(services)
    assert isinstance(done, Creative)  # noqa: S101 - it was one
    return done


def _means_image(form: Form) -> bool:
    """What a creative without `kind` and picture was meant to be, so that it is told what it lacks."""
    return (form.has("alt") or form.has("file")) and not (form.has("title") or form.has("body"))


async def _content(
    services: Services, form: Form, kind: CreativeKind, owner: Campaign, data: bytes | None, before: Content | None
) -> tuple[Content, tuple[str, bytes] | None]:
    """The content of a form and the file to keep, problems in the form."""
    for name, detail in FOREIGN[kind].items():
        form.refuse(name, detail)
    form.refuse("file", "is sent as the picture itself, in multipart/form-data (curl: -F file=@banner.png)")
    if data is not None and kind != "image":
        form.problem("file", f"a {kind} creative has no file")
    content = replace(before or Content(revision=0, serial=0, click_url=""), **form.read(CONTENT[kind]))
    if kind == "passback":
        await _check_size(services, form, owner, content)
    elif kind == "html":
        await _check_markup(services, form, owner, content)
    elif data is not None and kind == "image":
        return await _picture(services, form, owner, data, content)
    elif kind == "image" and before is None and not form.has("file"):
        form.problem("file", "is required: a PNG, JPEG, GIF, WebP or AVIF picture", "required")
    return content, None


async def _check_size(services: Services, form: Form, owner: Campaign, passback: Content) -> None:
    """Without a size a passback is for every slot of its campaign, with one for those that take this size."""
    for name, other in (("width", "height"), ("height", "width")):
        if form.has(other) and not form.has(name):
            form.problem(name, f"is required beside {other}: give both, or neither for every slot", "required")
    width, height = passback.width, passback.height
    if width and height:
        for problem in fit(width, height, 0, await booked_slots(services, owner.slots)):
            form.problem("width", problem)


async def _check_markup(services: Services, form: Form, owner: Campaign, html: Content) -> None:
    """It has one of the slots' sizes, like a picture, and weighs no more than one may."""
    if html.width and html.height and html.html:
        slots = await booked_slots(services, owner.slots)
        for problem in fit(html.width, html.height, len(html.html.encode()), slots, "markup"):
            form.problem("html" if problem.startswith("the markup") else "width", problem)


async def _picture(
    services: Services, form: Form, owner: Campaign, data: bytes, content: Content
) -> tuple[Content, tuple[str, bytes] | None]:
    """The content with a picture as it is kept, and that picture."""
    try:
        picture = await encode_off_loop(data, max_bytes=services.max_upload_bytes)
    except Invalid as refused:
        form.problems += refused.problems
        return content, None
    except AdserveError:
        if not form.problems:
            raise
        form.problem("file", "is no PNG, JPEG, GIF, WebP or AVIF picture")
        return content, None
    width, height, weight_bytes = picture.width, picture.height, len(picture.data)
    for problem in fit(width, height, weight_bytes, await booked_slots(services, owner.slots)):
        form.problem("file", problem)
    file = f"{picture.digest}.{picture.ending}"
    media = Media(file, picture.type, weight_bytes)
    return replace(content, width=width, height=height, media=media), (file, picture.data)


def fit(width: int, height: int, weight_bytes: int, slots: list[Slot], noun: str = "picture") -> list[str]:
    """Why a picture, or what `noun` says, fits none of the slots that its campaign books, in a designer's words."""
    sizes = sorted({size for slot in slots for size in slot.sizes})
    fitting = [slot for slot in slots if f"{width}x{height}" in slot.sizes]
    if not fitting:
        if not sizes:
            return ["the campaign books no slot that takes pictures: set its slots first"]
        return [f"{width}x{height} fits none of the campaign's slots; they take {', '.join(sizes)}"]
    limit = max(slot.max_kb for slot in fitting)
    if weight_bytes > limit * 1000:
        return [f"the {noun} has {weight_bytes / 1000:.0f} kB; the slots of this size take at most {limit} kB"]
    return []


async def _zone(services: Services, campaign: Campaign) -> ZoneInfo:
    """The zone of a campaign: its own, else that of its sites."""
    if campaign.timezone is not None:
        return zone(campaign.timezone)
    for one in await services.catalog.list("site"):
        if any(place.startswith(f"{one.id}/") for place in campaign.slots):
            return zone(getattr(one, "timezone", "UTC"))
    return zone("UTC")
