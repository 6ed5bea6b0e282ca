"""Creatives: upload, edit of content, edit of what needs no review."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from adserve.core import lifecycle
from adserve.core import validate as v
from adserve.core.form import Form
from adserve.core.gate import TEXT_PICTURE_SIDE
from adserve.core.match import ANY, Match
from adserve.core.members import FREE, KIND
from adserve.core.members import WORDS as WORDS_OF
from adserve.core.model import Campaign, Creative, CreativeKind, Revision
from adserve.core.revisions import Kept
from adserve.core.schedule import zone
from adserve.errors import Conflict, NotFound, Stale
from adserve.flows.content import FILES, MAX_SIZES, TRACKERS, Encoded, Parts, encode_parts, make_content
from adserve.flows.manage import again, booked_slots, get_thing, refresh
from adserve.flows.revisions import get_creative, keep
from adserve.flows.services import Services
from adserve.intake import budget
from adserve.intake.images import TYPES, Encoding

WORDS = (*FILES, *WORDS_OF)
"""Members of a body that are content."""
MAX_CREATIVES = 10_000
"""Of a campaign, archived ones too: every worker holds all of them."""
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


def creative_id() -> str:
    """A new one."""
    return "cr-" + "".join(secrets.choice(_ALPHABET) for _ in range(12))


async def submit(
    services: Services,
    campaign: str,
    body: Any,
    data: Parts | bytes | None,
    *,
    actor: str,
    id_: str | None = None,
    check: bool = False,
    trusted: bool = False,
) -> Creative:
    """A new creative, waiting for review. `data`: its pictures, or the only one. `id_`: one that nobody has, save who
    makes the same creative. `check`: only look at it; what would be made has no id, and nothing is stored. `trusted`:
    whether the caller may set trackers."""
    owner = await get_thing(services, "campaign", campaign)
    assert isinstance(owner, Campaign)  # noqa: S101 - what the store holds under this kind
    if owner.state == "archived":
        raise Conflict("the campaign is archived: take it into use first")
    things = (await services.catalog.all()).values()
    if sum(isinstance(one, Creative) and one.campaign == campaign for one in things) >= MAX_CREATIVES:
        raise Conflict(f"the campaign has {MAX_CREATIVES:,} creatives, archived ones too: make another campaign")
    form = Form(body)
    parts = _parts(data)
    guess: CreativeKind = "image" if parts.given() or _means_image(form) else "html" if form.has("html") else "text"
    kind = form.take("kind", guess, KIND)
    fields = form.read(FREE)
    if not trusted and form.has(TRACKERS):
        form.problem(TRACKERS, "are set by an admin", "forbidden")
    slots = await booked_slots(services, owner.slots)
    pictures = await encode_parts(kind, parts, services.max_upload_bytes)
    content, files = make_content(form, kind, slots, pictures, None)
    starts_at, ends_at = form.window(fields["starts"], fields["ends"], zone(owner.zone))
    form.finish()
    serial = 0 if check else await services.catalog.serial("revision")
    content = replace(content, revision=1, serial=serial)
    made = Kept(content, int(services.clock()), actor)
    creative = Creative(
        id="" if check else id_ or creative_id(),
        serial=0 if check else await services.catalog.serial("creative"),
        version=0,
        campaign=campaign,
        kind=kind,
        starts_at=starts_at,
        ends_at=ends_at,
        content=content,
        revisions=(Revision(1, serial),),
        **fields,
    )
    if check:
        return creative
    await _keep(services, files)
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
        "parts": list(FILES),
        "max_sizes": MAX_SIZES,
        "max_file_bytes": budget.MAX_SERVED_BYTES,
        "types": list(TYPES),
        "picture": {"max_side": budget.MAX_SIDE, "max_pixels": budget.MAX_PIXELS},
        "text_picture": {"max_side": TEXT_PICTURE_SIDE},
        "animation": {
            "max_frames": budget.MAX_FRAMES,
            "max_pixels": budget.MAX_ANIMATED_PIXELS,
            "max_seconds": budget.MAX_LENGTH_MS // 1000,
        },
        "texts": {n: f.check.schema["maxLength"] for n, f in checks.items() if "maxLength" in f.check.schema},
    }


async def patch_creative(
    services: Services,
    id_: str,
    patch: Any,
    data: Parts | bytes | None = None,
    *,
    actor: str,
    match: Match = ANY,
    trusted: bool = False,
) -> Creative:
    """Merge patch. Content (files, where null takes one off; text, html, alt, click_url, size) makes a new revision
    that waits for review; name, weight, companions and dates do not. `trusted`: whether the caller may set trackers."""
    before = await get_creative(services, id_)
    match.check(before)
    pictures = await encode_parts(before.kind, _parts(data), services.max_upload_bytes)
    return await again(lambda: _patch_once(services, id_, patch, pictures, actor, match, trusted=trusted))


async def _patch_once(
    services: Services, id_: str, patch: Any, pictures: Encoded, actor: str, match: Match, *, trusted: bool
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
        "button": content.button or None,
        "html": content.html or None,
        TRACKERS: content.trackers or None,
    }
    if before.kind in ("html", "passback"):
        current |= {"width": content.width or None, "height": content.height or None}
    known = {name: value for name, value in current.items() if value is not None}
    form = Form({**known, **v.members(patch)})
    fields = form.read(FREE)
    if not trusted and TRACKERS in patch:
        form.problem(TRACKERS, "are set by an admin", "forbidden")
    slots = await booked_slots(services, owner.slots)
    edited, files = make_content(form, before.kind, slots, pictures, content)
    starts_at, ends_at = form.window(fields["starts"], fields["ends"], zone(owner.zone))
    form.finish()
    after = replace(before, starts_at=starts_at, ends_at=ends_at, **fields)
    if files or edited != content:
        serial = await services.catalog.serial("revision")
        fresh = replace(edited, revision=len(before.revisions) + 1, serial=serial)
        after = lifecycle.edit(after, fresh)
        await _keep(services, files)
        await keep(services, before, Kept(fresh, int(services.clock()), actor))
    return await _store(services, after, before, actor, "edit")


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


def _parts(data: Parts | bytes | None) -> Parts:
    return data if isinstance(data, Parts) else Parts(data)


async def _keep(services: Services, files: Iterable[Encoding]) -> None:
    for one in files:
        await services.media.put(one.file, one.data)


def _means_image(form: Form) -> bool:
    """What a creative without `kind` and picture was meant to be, so that it is told what it lacks."""
    return (form.has("alt") or form.has("file")) and not (form.has("title") or form.has("body"))
