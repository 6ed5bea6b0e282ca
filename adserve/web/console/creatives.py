"""Creatives: the list, one of them with all that is known of it, its revisions, and what may be done to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from starlette.responses import Response

from adserve.core import preview as links
from adserve.core.landing import describe_landing
from adserve.core.model import Advertiser, Campaign, Content, Creative
from adserve.core.revisions import Shown, changes, rejections
from adserve.core.schedule import utc_label
from adserve.flows import access, archive, manage, review, revisions
from adserve.flows.names import names_of
from adserve.flows.preview import content_of, look
from adserve.web.console.difference import about_file, differences
from adserve.web.console.form import whole
from adserve.web.console.page import EVERYONE, Call, Endpoint, Page
from adserve.web.console.preview import number_of, views_of
from adserve.web.console.table import Cell, Column, Table, show_table

CREATIVES = "/console/creatives"
OWN = frozenset({"admin", "advertiser"})
"""Who may change creatives, as in the API."""
UPLOADERS = OWN | {"reviewer"}
ON_A_PAGE = 60
COLUMNS = (
    Column("Creative"), Column("Id"), Column("Kind"), Column("Size"), Column("Campaign"), Column("Advertiser"),
    Column("Weight", number=True), Column("State"), Column("Live revision", number=True),
)  # fmt: skip
STATES = (
    ("", "all but archived"), ("serving", "approved and serving"), ("pending", "waiting for review"),
    ("approved", "approved"), ("rejected", "rejected"), ("paused", "paused"), ("archived", "archived"),
)  # fmt: skip
KINDS = (("", "every kind"), ("image", "pictures"), ("text", "texts"), ("html", "HTML"), ("passback", "passbacks"))
FILTERS = ("state", "kind", "campaign", "advertiser")
ACTIONS = {
    "pause": ("approved",),
    "resume": ("paused",),
    "archive": ("pending", "approved", "paused", "rejected"),
    "unarchive": ("archived",),
}
"""A button to the states in which it is there; as `core.lifecycle` moves."""


class Tile(NamedTuple):
    creative: Creative
    campaign: Campaign | None
    advertiser: Advertiser | None

    @property
    def size(self) -> str:
        content = self.creative.content
        return f"{content.width}x{content.height}" if content.width else ""


def state_words(creative: Creative) -> str:
    """Its state, and what serves meanwhile.

    A creative that is pending while an older revision is live says so: it is not off the page.
    """
    live = creative.live
    if creative.state == "pending" and live is not None:
        return f"Revision {creative.content.revision} waits for review; revision {live.revision} serves until then."
    return {
        "pending": "Waits for review; nothing of it serves yet.",
        "approved": "Approved: it serves where its campaign does.",
        "rejected": "Rejected: it is off every page. Change it to send it to review again.",
        "paused": "Paused: it is off every page until somebody resumes it.",
        "archived": "Archived: its name stays in reports.",
    }[creative.state]


async def creatives(call: Call) -> Response:
    """All that the caller may see, the newest first, by `state`, `kind`, `campaign` and `advertiser`."""
    services, query = call.services, call.query
    campaigns = {one.id: one for one in await access.visible(services, call.account, "campaign")}
    advertisers = {one.id: one for one in await access.visible(services, call.account, "advertiser")}
    found = []
    for one in await access.visible(services, call.account, "creative"):
        assert isinstance(one, Creative)  # noqa: S101 - what this kind is
        campaign = campaigns.get(one.campaign)
        assert campaign is None or isinstance(campaign, Campaign)  # noqa: S101 - what this kind is
        owner = advertisers.get(campaign.advertiser) if campaign else None
        assert owner is None or isinstance(owner, Advertiser)  # noqa: S101 - what this kind is
        if _wanted(one, campaign, query):
            found.append(Tile(one, campaign, owner))
    found.sort(key=lambda one: -one.creative.content.serial)
    rows = [
        (
            Cell(one.creative.name, call.url(f"{CREATIVES}/{one.creative.id}")),
            one.creative.id,
            one.creative.kind,
            one.size,
            one.campaign.name if one.campaign else one.creative.campaign,
            one.advertiser.name if one.advertiser else "",
            one.creative.weight,
            one.creative.state,
            one.creative.live.revision if one.creative.live else None,
        )
        for one in found
    ]
    table = Table("creatives", "Creatives", COLUMNS, rows)
    at = whole(query.get("page", ""), 5) or 1
    return show_table(
        call,
        "creatives.html.j2",
        table,
        title="Creatives",
        tiles=found[(at - 1) * ON_A_PAGE : at * ON_A_PAGE],
        total=len(found),
        at=at,
        last=max(1, -(-len(found) // ON_A_PAGE)),
        states=STATES,
        kinds=KINDS,
        campaigns=[("", "every campaign"), *_choices(campaigns.values())],
        advertisers=[("", "every advertiser"), *_choices(advertisers.values())],
        filtered=any(query.get(name) for name in FILTERS),
        uploads=call.may(*UPLOADERS),
        query={name: query[name] for name in FILTERS if name in query},
    )


def _choices(things: object) -> list[tuple[str, str]]:
    return [(one.id, one.name) for one in things if one.state != "archived"]  # type: ignore[attr-defined]


def _wanted(one: Creative, campaign: Campaign | None, query: dict[str, str]) -> bool:
    state, kind = query.get("state", ""), query.get("kind", "")
    serves = one.live is not None and one.state in ("approved", "pending")
    right = one.state != "archived" if not state else serves if state == "serving" else one.state == state
    return (
        right
        and kind in ("", one.kind)
        and query.get("campaign", "") in ("", one.campaign)
        and query.get("advertiser", "") in ("", campaign.advertiser if campaign else "")
    )


async def creative(call: Call) -> Response:
    """One of them: how it looks in each slot, where it leads, and what it was before."""
    preview = await look(call.services, call.path["id"])
    one, content = preview.creative, preview.content
    owner = await manage.get_thing(call.services, "advertiser", preview.campaign.advertiser)
    history = await revisions.list_revisions(call.services, one.id)
    worker = call.console.worker
    expires = int(worker.clock()) + links.LIFETIME_S
    return call.show(
        "creative.html.j2",
        title=one.name,
        one=one,
        preview=preview,
        views=views_of(preview),
        words=state_words(one),
        owner=owner,
        landing=describe_landing(content.click_url) if content.click_url else None,
        files=files_of(content),
        history=history,
        rejected=rejections(one, history)[:1],
        names=await names_of(call.services, call.account, actors_of(history)),
        actions=[name for name, states in ACTIONS.items() if one.state in states] if call.may(*OWN) else [],
        token=links.write(links.Link(one.id, content.revision, expires), worker.keys[0]),
        ends=utc_label(expires)[:10],
    )


def actors_of(history: Sequence[Shown]) -> list[str]:
    """Who made and who reviewed revisions."""
    made = [one.kept.by for one in history if one.kept is not None]
    return [by for by in (*made, *(verdict.by for one in history for verdict in one.verdicts)) if by]


class Shape(NamedTuple):
    """A file of a content. `about`: what it is for, in words; `smaller`: type and bytes of the same picture as other
    types."""

    file: str
    about: str
    type: str
    bytes: int
    smaller: Sequence[tuple[str, int]]


def files_of(content: Content) -> list[Shape]:
    return [
        Shape(
            one.media.file,
            about_file(str(one.size), one.density, one.scheme),
            one.media.type,
            one.media.bytes,
            [(each.type, each.bytes) for each in one.variants],
        )
        for one in content.pictures
    ]


async def revision(call: Call) -> Response:
    """One revision: how it looks, and what differs from the one that serves, or from the one before it."""
    services, id_, number = call.services, call.path["id"], number_of(call.path["revision"])
    shown = await revisions.get_revision(services, id_, number)
    preview = await look(services, id_, number)
    live = preview.creative.live
    against = live.revision if live is not None and live.revision != number else number - 1
    before = await content_of(services, preview.creative, against) if against > 0 else None
    return call.show(
        "revision.html.j2",
        title=f"{preview.creative.name}, revision {number}",
        one=preview.creative,
        shown=shown,
        preview=preview,
        views=views_of(preview),
        against=against,
        found=differences(changes(before, preview.content)) if before is not None else [],
        may_restore=call.may(*OWN) and shown.state == "past" and preview.creative.state != "archived",
    )


def move(action: str, done: str) -> Endpoint:
    async def endpoint(call: Call) -> Response:
        await review.move(call.services, call.path["id"], action, actor=call.actor)
        return call.go(f"{CREATIVES}/{call.path['id']}", done)

    return endpoint


async def unarchive(call: Call) -> Response:
    """Out of the archive, to wait for review whatever it was."""
    back = await archive.unarchive_creative(call.services, call.path["id"], actor=call.actor)
    return call.go(f"{CREATIVES}/{back.id}", "sent" if back.state == "pending" else "restored")


async def restore(call: Call) -> Response:
    """An old revision comes back as a new one, which waits for review."""
    number = number_of(call.path["revision"])
    await revisions.restore(call.services, call.path["id"], number, actor=call.actor, trusted=call.may("admin"))
    return call.go(f"{CREATIVES}/{call.path['id']}", "sent")


ONE = f"{CREATIVES}/{{id}}"
PAGES = (
    Page("GET", CREATIVES, creatives, EVERYONE, nav="Creatives"),
    Page("GET", ONE, creative, EVERYONE, "creative"),
    Page("GET", f"{ONE}/revisions/{{revision}}", revision, EVERYONE, "creative"),
    Page("POST", f"{ONE}/revisions/{{revision}}/restore", restore, OWN, "creative"),
    Page("POST", f"{ONE}/pause", move("pause", "paused"), OWN, "creative"),
    Page("POST", f"{ONE}/resume", move("resume", "resumed"), OWN, "creative"),
    Page("POST", f"{ONE}/archive", move("archive", "archived"), OWN, "creative"),
    Page("POST", f"{ONE}/unarchive", unarchive, OWN, "creative"),
)
