"""Sites, slots, advertisers and campaigns: put, patch, archive, and every object's public form."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from adserve.core import validate as v
from adserve.core.form import Fields, Form
from adserve.core.match import ANY, Match
from adserve.core.members import ADVERTISER, CAMPAIGN, SITE, SLOT
from adserve.core.model import Advertiser, Campaign, Content, Creative, Site, Slot, Thing
from adserve.core.pricing import remember
from adserve.core.revisions import content_hash
from adserve.core.schedule import utc_label, zone
from adserve.errors import Conflict, Invalid, NotFound, Problem, Stale, Unmet
from adserve.flows.services import Services
from adserve.store.client import REPLY_ERRORS

T = TypeVar("T")
ATTEMPTS = 20
"""How often a change is made again on what another writer stored meanwhile."""
PAUSE_S, MAX_PAUSE_S = 0.004, 0.25
"""The first pause before that at most, doubled each time, and the longest. A random part of it is waited,
so that a crowd of writers spreads; together at most 4 seconds."""
HIDDEN = {"serial", "starts_at", "ends_at", "zone", "priced", "content", "live", "pin", "revisions"}
HIDDEN |= {"with_campaign", "judged"}
READ_ONLY = ("version", "accepts")


async def get_thing(services: Services, kind: str, id_: str) -> Thing:
    """An object that is there. NotFound otherwise."""
    found = await services.catalog.get(kind, id_)
    if found is None:
        raise NotFound(f"there is no {kind} with this id")
    return found


async def list_things(services: Services, kind: str) -> list[Thing]:
    return await services.catalog.list(kind)


async def again(attempt: Callable[[], Awaitable[T]]) -> T:
    """`attempt` reads, looks at the caller's conditions, changes and stores; it is made anew when another writer came
    in between. Conflict when that happens every time."""
    for tried in range(ATTEMPTS):
        try:
            return await attempt()
        except Unmet:
            raise
        except Stale:
            pass
        await asyncio.sleep(random.random() * min(PAUSE_S * 2**tried, MAX_PAUSE_S))  # noqa: S311 (a pause, not a secret)
    raise Conflict("others change it all the time: try again")


async def refresh(services: Services) -> None:
    """Makes a stored change live here at once. It *is* stored, so a failure now is no failure of the
    call: the worker follows the catalog by itself."""
    with contextlib.suppress(*REPLY_ERRORS):
        await services.refresh()


async def public(services: Services, thing: Thing, slots: Sequence[Thing] | None = None) -> dict[str, Any]:
    """The form in which the API shows an object. `slots`: all of them, from whoever shows many objects."""
    shown = _form_of(thing)
    if isinstance(thing, Campaign):
        shown["pacing"] = thing.paces
        shown["accepts"] = [
            {"slot": slot.id, "sizes": list(slot.sizes), "max_kb": slot.max_kb}
            for slot in await booked_slots(services, thing.slots, slots)
        ]
    return shown


def _form_of(thing: Thing) -> dict[str, Any]:
    """The same without what other objects say."""
    shown: dict[str, Any] = {n: x for n, x in msgspec.to_builtins(thing).items() if n not in HIDDEN}
    if isinstance(thing, Campaign) and thing.price is not None:
        amount = (Decimal(thing.price.micros) / 1_000_000).quantize(Decimal("0.001"))
        text = f"{amount:.2f}" if amount == round(amount, 2) else f"{amount}"
        shown["price"] = {"model": thing.price.model, "amount": text, "currency": thing.price.currency}
    if isinstance(thing, Creative):
        live, pin = thing.live, thing.pin
        shown |= content_shown(thing.kind, thing.content)
        shown["live_revision"] = live.revision if live else None
        shown["approved"] = (
            {"revision": live.revision, "hash": pin.hash, "at": utc_label(pin.at), "by": pin.by}
            if live is not None and pin is not None
            else None
        )
    return shown


def content_shown(kind: str, content: Content) -> dict[str, Any]:
    """A revision's content as the API shows it."""
    shown: dict[str, Any] = msgspec.to_builtins(content)
    shown.pop("serial")
    media = content.media
    shown.pop("media")
    shown["file"] = f"/m/{media.file}" if media else None
    shown["files"] = [
        {
            "path": f"/m/{one.file}",
            "type": one.type,
            "bytes": one.bytes,
            "width": picture.width,
            "height": picture.height,
            "density": picture.density,
            "scheme": picture.scheme or "any",
        }
        for picture in content.pictures
        for one in (picture.media, *picture.variants)
    ]
    shown["hash"] = content_hash(kind, content)
    return shown


async def booked_slots(services: Services, places: tuple[str, ...], slots: Sequence[Thing] | None = None) -> list[Slot]:
    """The slots that a campaign's places name."""
    if slots is None:
        slots = await services.catalog.list("slot")
    named, sites = set(places), {one.partition("/")[0] for one in places if one.endswith("/*")}
    found = [t for t in slots if isinstance(t, Slot) and (t.id in named or t.site in sites)]
    return [slot for slot in found if slot.state != "archived"]


async def put_thing(
    services: Services, kind: str, id_: str, body: Any, *, actor: str, match: Match = ANY
) -> tuple[Thing, bool]:
    """Creates or replaces; `(thing, created)`. What the body omits is reset."""
    if not _is_id(id_):
        raise Invalid(await problems_of(services, kind, id_, body))

    async def once() -> tuple[Thing, bool]:
        before = await services.catalog.get(kind, id_)
        match.check(before)
        return await _store(services, kind, id_, body, before, actor), before is None

    return await again(once)


def _is_id(text: str) -> bool:
    return all(v.ID.fullmatch(part) for part in text.split("/"))


async def problems_of(
    services: Services, kind: str, id_: str, body: Any, before: Thing | None = None
) -> list[Problem]:
    """What is wrong with an id and a body; for whoever found something already and wants to say all at once."""
    found = [] if _is_id(id_) else [Problem("/id", "takes 1 to 64 of a-z, 0-9 and -")]
    try:
        await BUILDERS[kind](services, id_, v.members(body), before)
    except Invalid as refused:
        found += refused.problems
    except NotFound:  # of a slot's site
        pass
    return found


async def patch_thing(services: Services, kind: str, id_: str, patch: Any, *, actor: str, match: Match = ANY) -> Thing:
    """JSON merge patch (RFC 7396) on the public form."""

    async def once() -> Thing:
        before = await get_thing(services, kind, id_)
        match.check(before)
        merged = merge(_form_of(before), v.members(patch))
        return await _store(services, kind, id_, merged, before, actor)

    return await again(once)


async def _store(services: Services, kind: str, id_: str, body: Any, before: Thing | None, actor: str) -> Thing:
    """Stores what a body says in place of `before`. Stale when that was changed meanwhile."""
    body = {name: value for name, value in v.members(body).items() if name not in READ_ONLY}
    made: Thing = await BUILDERS[kind](services, id_, body, before)
    goes = made.state == "archived" and before is not None and before.state != "archived"
    as_of = await _childless(services, kind, id_) if goes else None
    if before is None:
        made = replace(made, serial=await services.catalog.serial(kind))
    if isinstance(made, Slot) and made.rank == 0:
        made = replace(made, rank=made.serial)
    action = "replace" if before else "create"
    after = await services.catalog.put(kind, made, before, actor=actor, action=action, as_of=as_of)
    await refresh(services)
    return after


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396: members of the patch replace, null removes."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


CHILDREN = {"site": "slot", "advertiser": "campaign", "campaign": "creative"}


async def archive_thing(services: Services, kind: str, id_: str, *, actor: str, match: Match = ANY) -> Thing:
    """DELETE: the object goes out of use, its name stays in reports; one that is out of use stays as it is.
    Conflict with children in use."""

    async def once() -> Thing:
        before = await get_thing(services, kind, id_)
        match.check(before)
        if before.state == "archived":
            return before
        as_of = await _childless(services, kind, id_)
        gone = replace(before, state="archived")
        return await services.catalog.put(kind, gone, before, actor=actor, action="archive", as_of=as_of)

    after = await again(once)
    await refresh(services)
    return after


async def switch_thing(
    services: Services, kind: str, id_: str, state: str, *, actor: str, archived: bool = False
) -> Thing:
    """Stops what is in use (`paused`) or lets it serve (`active`). Conflict for what is archived; or `archived`: that
    is taken into use again, and what is in use stays as it is."""

    async def once() -> Thing:
        before = await get_thing(services, kind, id_)
        if archived and before.state != "archived":
            return before
        if not archived and before.state == "archived":
            raise Conflict("it is archived: take it into use again first")
        return await _store(services, kind, id_, {**_form_of(before), "state": state}, before, actor)

    return await again(once)


async def _childless(services: Services, kind: str, id_: str) -> int | None:
    """The version of the catalog in which nothing below an object is in use; None for a kind that nothing lies below.
    Conflict where something is."""
    if kind not in CHILDREN:
        return None
    version, things = await services.catalog.fresh()
    for child in things.values():
        if getattr(child, kind, None) == id_ and child.state != "archived":
            raise Conflict(f"the {CHILDREN[kind]} {child.id} is still in use: delete it first")
    return version


def _stored(kind: type[Site | Advertiser], fields: Fields) -> Callable[..., Awaitable[Thing]]:
    """The builder of a kind that is what its body says."""

    async def build(_: Services, id_: str, body: Any, before: Thing | None) -> Thing:
        form = Form(body)
        form.same("id", id_, v.check_id)
        values = form.read(fields)
        form.finish()
        return kind(id=id_, serial=before.serial if before else 0, version=0, **values)

    return build


async def _slot(services: Services, id_: str, body: Any, before: Slot | None) -> Slot:
    site, _, name = id_.partition("/")
    await get_thing(services, "site", site)
    form = Form(body)
    form.same("name", name, v.check_id)
    form.same("site", site, v.check_id)
    form.same("id", id_, v.place)
    values = form.read(SLOT)
    form.finish()
    return Slot(id=id_, serial=before.serial if before else 0, version=0, site=site, name=name, **values)


async def _campaign(services: Services, id_: str, body: Any, before: Campaign | None) -> Campaign:
    form = Form(body)
    form.same("id", id_, v.check_id)
    values = form.read(CAMPAIGN)
    advertiser, places, own = values["advertiser"], values["slots"], values["timezone"]
    owner = await services.catalog.get("advertiser", advertiser) if advertiser else None
    if before is not None and advertiser and before.advertiser != advertiser:
        form.problem("advertiser", "never changes: make another campaign")
    elif advertiser and (owner is None or (owner.state == "archived" and before is None)):
        form.problem("advertiser", "there is no such advertiser in use", "unknown")
    sites = {one.partition("/")[0] for one in places}
    stored = {t.id: t for t in await services.catalog.list("site") if isinstance(t, Site)}
    slots = {t.id for t in await services.catalog.list("slot")}
    for at, one in enumerate(places):
        if one.partition("/")[0] not in stored or (not one.endswith("/*") and one not in slots):
            form.problem(f"slots/{at}", f"there is no slot {one}", "unknown")
    zones = {stored[site].timezone for site in sites if site in stored}
    if own is None and len(zones) > 1:
        form.problem("timezone", "is required, because the sites have different ones", "required")
    tz: ZoneInfo = zone(own or (min(zones) if zones else "UTC"))
    starts_at, ends_at = form.window(values["starts"], values["ends"], tz)
    if values["pacing"] == "even" and ends_at is None:
        form.problem("pacing", "even needs an end: give the campaign one, or asap")
    form.finish()
    values |= {"starts_at": starts_at, "ends_at": ends_at, "zone": tz.key}
    campaign = Campaign(id=id_, serial=before.serial if before else 0, version=0, **values)
    return replace(campaign, priced=remember(before, campaign, int(services.clock())))


BUILDERS: dict[str, Callable[[Services, str, Any, Any], Awaitable[Thing]]] = {
    "site": _stored(Site, SITE),
    "slot": _slot,
    "advertiser": _stored(Advertiser, ADVERTISER),
    "campaign": _campaign,
}
