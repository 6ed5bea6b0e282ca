"""The compiled copy: made anew in part after a change it is the same as made whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adserve.core.catalog import Catalog
from adserve.core.compile import compile_catalog, recompile
from adserve.core.explain import why_empty
from adserve.core.model import Advertiser, Campaign, Content, Creative, Media, Revision, Site, Slot, Thing
from adserve.core.pool import Pool
from adserve.core.slot import CompiledSlot, SlotRequest
from adserve.core.standing import Standing
from adserve.snippet import compile_snippet

SITES, SLOTS, OWNERS = ("news", "blog"), ("top", "foot"), ("acme", "bolt")
CAMPAIGNS, SIZES = ("one", "two", "six"), ("728x90", "300x250")
PLACES = [f"{site}/{slot}" for site in SITES for slot in (*SLOTS, "*")]
URLS = ("https://shop.example/", "https://shop.example/?s={slot}", "http://localhost/")
MOMENTS, WIDTHS = (0, 5, 10), (None, 250, 300)
STANDING = Standing()


def options(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


BOUNDS = options(None, 5, 10)


def after(before: Catalog, version: int, things: Mapping[str, Thing], unreadable: frozenset[str]) -> Catalog:
    steps = recompile(before, version, things, compile_snippet, unreadable)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: Catalog = done.value
            return found


def choices(pool: Pool) -> list[list[Creative]]:
    return [[one.entry.creative for one in pool.choices(at)] for at in range(len(pool.members))]


def told(slot: CompiledSlot) -> Any:
    """Everything that a slot would answer."""
    tiers = [
        [(c.campaign, [(e.creative, e.content, e.snippet) for e in c.entries]) for c in tier] for tier in slot.tiers
    ]
    asked = [(SlotRequest(width), now) for now in MOMENTS for width in WIDTHS]
    pools = [
        [(pool.tier, pool.name, pool.serials, pool.sums, choices(pool)) for pool in pools_of(slot, request, now)]
        for request, now in asked
    ]
    reasons = [why_empty(slot, request, None, STANDING, now) for request, now in asked]
    return slot.site, slot.slot, slot.live, slot.barred, tiers, pools, reasons


def pools_of(slot: CompiledSlot, request: SlotRequest, now: int) -> list[Pool]:
    """What a slot offers, by weight."""
    offers = [view.offer(STANDING, now) for view in slot.views(request, now).able]
    return [one.rest for one in offers if one.rest is not None]


def whole(catalog: Catalog) -> dict[str, Any]:
    """A copy as plain values."""
    return {
        "version": catalog.version,
        "things": catalog.things,
        "slots": {name: told(slot) for name, slot in catalog.slots.items()},
        "slot_serials": {serial: told(slot) for serial, slot in catalog.slot_serials.items()},
        "pages": {site: [slot.slot.id for slot in slots] for site, slots in catalog.pages.items()},
        "landings": catalog.landings,
        "creatives": catalog.creatives,
        "bad": catalog.bad,
    }


def booked(things: Mapping[str, Thing]) -> dict[str, set[tuple[str, str]]]:
    """What each slot may show, campaign and creative, said in one sentence."""
    return {
        slot.id: {
            (campaign.id, one.id)
            for campaign in things.values()
            if isinstance(campaign, Campaign) and campaign.state == "active"
            if {slot.id, f"{slot.site}/*"} & set(campaign.slots)
            if getattr(things.get(f"advertiser:{campaign.advertiser}"), "state", "") != "archived"
            for one in things.values()
            if isinstance(one, Creative) and one.campaign == campaign.id and one.state in ("approved", "pending")
            if one.live and one.live.serial in [revision.serial for revision in one.revisions]
            if one.kind == "passback" or "localhost" not in one.live.click_url
            if one.kind == "text"
            or (one.kind == "passback" and not one.live.width)
            or f"{one.live.width}x{one.live.height}" in slot.sizes
            if (one.kind == "passback" and not one.live.width) or one.live.media.bytes <= slot.max_kb * 1000  # type: ignore[union-attr]
        }
        for slot in things.values()
        if isinstance(slot, Slot) and slot.state != "archived"
        if getattr(things.get(f"site:{slot.site}"), "state", "archived") != "archived"
    }


def site(at: int, **fields: Any) -> Site:
    return Site(id=SITES[at], serial=at + 1, version=1, name="S", **fields)


def slot(at: int, **fields: Any) -> Slot:
    name, of = SLOTS[at % 2], SITES[at // 2]
    return Slot(
        **{"id": f"{of}/{name}", "serial": at + 1, "version": 1, "site": of, "name": name, "sizes": SIZES, **fields}
    )


def advertiser(at: int, **fields: Any) -> Advertiser:
    return Advertiser(id=OWNERS[at], serial=at + 1, version=1, name="A", **fields)


def campaign(at: int, **fields: Any) -> Campaign:
    made = {"advertiser": OWNERS[at % 2], "slots": ("news/*", "blog/top"), **fields}
    return Campaign(id=CAMPAIGNS[at], serial=at + 1, version=1, name="C", **made)


def creative(at: int, url: str = URLS[0], size: tuple[int, int] = (300, 250), kb: int = 0, **fields: Any) -> Creative:
    """With two revisions; the first of them is live unless `live` is another number."""
    media = Media("0" * 40 + ".png", "image/png", (kb or (9, 90)[at % 2]) * 1000)
    contents = [
        Content(revision=n, serial=10 * at + n, click_url=url, width=size[0], height=size[1], media=media)
        for n in (1, 2)
    ]
    live = fields.pop("live", 1)
    made = {"campaign": CAMPAIGNS[at % 3], "name": "X", "kind": "image", "state": "approved", **fields}
    return Creative(
        id=f"x{at}",
        serial=at + 1,
        version=1,
        content=contents[-1],
        live=contents[live - 1] if live else None,
        revisions=tuple(Revision(one.revision, one.serial) for one in contents),
        **made,
    )


KINDS: dict[str, tuple[Callable[..., Thing], int, dict[str, st.SearchStrategy[Any]]]] = {
    "site": (site, 2, {"state": options("active", "paused", "archived")}),
    "slot": (
        slot,
        4,
        {
            "sizes": options((), ("300x250",), SIZES),
            "label": options("Ad", "Offer"),
            "max_kb": options(100, 10),
            "rank": st.integers(1, 3),
            "rotation": options("even", "random"),
            "repeat": options("never", "creative", "any"),
            "title": options("", "T"),
            "state": options("active", "active", "paused", "archived"),
        },
    ),
    "advertiser": (advertiser, 2, {"state": options("active", "archived")}),
    "campaign": (
        campaign,
        3,
        {
            "advertiser": options(*OWNERS),
            "tier": options("sponsor", "standard"),
            "weight": st.integers(0, 2),
            "slots": st.lists(options(*PLACES), max_size=3, unique=True).map(tuple),
            "starts_at": BOUNDS,
            "ends_at": BOUNDS,
            "state": options("active", "active", "paused", "archived"),
        },
    ),
    "creative": (
        creative,
        6,
        {
            "url": options(*URLS),
            "size": options((0, 0), (300, 250), (728, 90)),
            "kb": options(9, 90),
            "campaign": options(*CAMPAIGNS),
            "kind": options("image", "text", "passback"),
            "weight": st.integers(0, 2),
            "starts_at": BOUNDS,
            "ends_at": BOUNDS,
            "state": options("approved", "approved", "pending", "rejected", "paused", "archived"),
            "live": options(0, 1, 2),
        },
    ),
}
"""How an object of a kind is made, how many there are, and what may differ of it."""
WORLD = {f"{kind}:{one.id}": one for kind, (make, count, _) in KINDS.items() for one in map(make, range(count))}


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, Thing | None]:
    """The name of an object and what it is next, two of its members or one at chance; None when it is gone or cannot
    be read."""
    kind = draw(st.sampled_from(list(KINDS)))
    make, count, members = KINDS[kind]
    names = draw(st.lists(st.sampled_from(list(members)), min_size=1, max_size=2, unique=True))
    thing = make(draw(st.integers(0, count - 1)), **{name: draw(members[name]) for name in names})
    return f"{kind}:{thing.id}", None if draw(st.integers(0, 7)) == 0 else thing


@settings(max_examples=150, deadline=None)
@given(st.booleans(), st.lists(st.lists(changes(), max_size=4), min_size=1, max_size=8), st.booleans())
def test_a_copy_made_anew_in_part_is_the_one_made_whole(
    empty: bool, batches: list[list[tuple[str, Thing | None]]], asked: bool
) -> None:
    """After any sequence of changes, one at a time or several at once, to an empty catalog or a full one, whatever was
    asked of the copies before; and each of those still is what it was. The one made whole shows what it should."""
    things: dict[str, Thing] = {} if empty else WORLD
    catalog = compile_catalog(0, things, compile_snippet)
    made = [(catalog, whole(compile_catalog(0, things, compile_snippet)))]
    for version, batch in enumerate(batches, 1):
        unreadable = {name for name, thing in dict(batch).items() if thing is None}
        things = {**things, **{name: thing for name, thing in batch if thing is not None}}
        things = {name: thing for name, thing in things.items() if name not in unreadable}
        catalog = after(catalog, version, things, frozenset(unreadable))
        expected = whole(compile_catalog(version, things, compile_snippet, unreadable))
        if asked:
            assert whole(catalog) == expected
        made.append((catalog, expected))
        shown = {
            name: {(c.campaign.id, e.creative.id) for tier in one.tiers for c in tier for e in c.entries}
            for name, one in catalog.slots.items()
        }
        assert shown == booked(things)
    for one, expected in made:
        assert whole(one) == expected
