"""Review: what waits, the oldest first, and one creative beside all that a decision needs."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from adserve.core.catalog import Catalog
from adserve.core.landing import describe_landing
from adserve.core.lifecycle import MOVES
from adserve.core.model import Advertiser, Campaign, Creative
from adserve.core.preview import LIFETIME_S, Link, write
from adserve.core.rejections import REJECTIONS
from adserve.core.revisions import changes, content_hash, rejections
from adserve.errors import Conflict, Invalid, Problem, Stale
from adserve.flows import access, manage, revisions
from adserve.flows import review as flow
from adserve.flows.names import names_of
from adserve.flows.preview import Preview, look
from adserve.web.console.creatives import actors_of, files_of, state_words
from adserve.web.console.difference import differences
from adserve.web.console.page import REVIEW, STAFF, Call, Page
from adserve.web.console.preview import views_of
from adserve.web.console.table import Cell, Column, Table, show_table

QUEUE = "/console/review"
REJECTIONS_SHOWN = 5
COLUMNS = (
    Column("Creative"), Column("Kind"), Column("Size"), Column("Campaign"), Column("Advertiser"),
    Column("Revision", number=True), Column("Meanwhile"),
)  # fmt: skip
NOTHING = "Nothing waits for review. What is uploaded or changed shows up here by itself."
CHANGED = (
    "It was changed after you looked at it, so nothing was decided. "
    "Below is what it is now: look at it again, and decide."
)
DECIDED = "Somebody else decided about it meanwhile, so you did not: it is {words}. This is how it is now."
MEANWHILE = "meanwhile"
"""The code of a problem that is nobody's fault."""


def waiting(catalog: Catalog | None) -> int:
    """How many creatives wait, as far as this worker knows: for the navigation."""
    creatives = catalog.creatives.values() if catalog is not None else ()
    return sum(one.state == "pending" for several in creatives for one in several)


async def _waiting(call: Call) -> list[Creative]:
    """The oldest revision first: their serials are given in the order in which they come in."""
    found = await access.visible(call.services, call.account, "creative")
    mine = [one for one in found if isinstance(one, Creative) and one.state == "pending"]
    return sorted(mine, key=lambda one: one.content.serial)


async def queue(call: Call) -> Response:
    """What waits for review, the oldest first."""
    found = await _waiting(call)
    campaigns = {one.id: one for one in await access.visible(call.services, call.account, "campaign")}
    advertisers = {one.id: one for one in await access.visible(call.services, call.account, "advertiser")}
    rows = []
    for one in found:
        campaign, content = campaigns.get(one.campaign), one.content
        owner = advertisers.get(campaign.advertiser) if isinstance(campaign, Campaign) else None
        rows.append(
            (
                Cell(one.name, call.url(f"{QUEUE}/{one.id}")),
                one.kind,
                f"{content.width}x{content.height}" if content.width else "",
                campaign.name if isinstance(campaign, Campaign) else one.campaign,
                owner.name if isinstance(owner, Advertiser) else "",
                content.revision,
                f"revision {one.live.revision} serves" if one.live else "nothing serves",
            )
        )
    table = Table("review", "Creatives that wait for review", COLUMNS, rows, NOTHING)
    return show_table(call, "review-queue.html.j2", table, title="Review", first=found[0].id if found else None)


async def one(call: Call) -> Response:
    """A creative with all that a decision needs."""
    preview = await look(call.services, call.path["id"])
    creative, content = preview.creative, preview.content
    ids = [each.id for each in await _waiting(call)]
    owner = await manage.get_thing(call.services, "advertiser", preview.campaign.advertiser)
    history = await revisions.list_revisions(call.services, creative.id)
    live = creative.live if creative.live is not None and not preview.is_live else None
    worker = call.console.worker
    expires = int(worker.clock()) + LIFETIME_S
    return call.show(
        "review.html.j2",
        409 if any(problem.code == MEANWHILE for problem in call.problems) else 200,
        title=creative.name,
        one=creative,
        content=content,
        owner=owner,
        campaign=preview.campaign,
        words=state_words(creative),
        hash=content_hash(creative.kind, content),
        rejected=rejections(creative, history)[:REJECTIONS_SHOWN],
        sent=next((each.kept for each in history if each.revision == content.revision and each.kept), None),
        names=await names_of(call.services, call.account, actors_of(history)),
        landing=describe_landing(content.click_url) if content.click_url else None,
        files=files_of(content),
        views=views_of(preview),
        live=live,
        live_views=views_of(Preview(creative, preview.campaign, live, preview.slots)) if live else [],
        found=differences(changes(live, content)) if live else [],
        reasons=REJECTIONS,
        place=ids.index(creative.id) + 1 if creative.id in ids else 0,
        total=len(ids),
        before=_beside(ids, creative.id, -1),
        after=_beside(ids, creative.id, 1),
        may={action for action in ("approve", "reject") if (creative.state, action) in MOVES and call.may(*REVIEW)},
        token=write(Link(creative.id, content.revision, expires), worker.keys[0]),
    )


def _beside(ids: Sequence[str], id_: str, step: int) -> str | None:
    """The one before or after another in the queue; of one that waits no more, the first."""
    if id_ not in ids:
        return ids[0] if ids else None
    at = ids.index(id_) + step
    return ids[at] if 0 <= at < len(ids) else None


def _reason(call: Call) -> str:
    """The words of the advertiser's rejection: of the list, own words, or both."""
    chosen = REJECTIONS.get(call.form.text("chosen"), "")
    return " ".join(filter(None, (chosen, call.form.text("reason"))))


async def _decide(call: Call, action: str, done: str, reason: str = "") -> Response:
    """Decides about what was looked at, its content and what had been decided about it, and shows the next one. What
    came in meanwhile is shown instead: a decision never goes over one that its maker has not seen."""
    hash_, match = call.form.text("hash"), call.match
    ids = [each.id for each in await _waiting(call)]
    following = _beside(ids, call.path["id"], 1) or next((id_ for id_ in ids if id_ != call.path["id"]), None)
    try:
        if not hash_ or match.must is None:
            raise Conflict("a decision says which content it is about, and which version of the creative")
        await flow.move(
            call.services, call.path["id"], action, actor=call.actor, reason=reason, hash=hash_, match=match
        )
    except (Conflict, Stale):
        now = await revisions.get_creative(call.services, call.path["id"])
        call.problems = [Problem("", _meanwhile(now, call), MEANWHILE)]
        return await one(call)
    except Invalid as refused:
        call.problems = refused.problems
        return await one(call)
    return call.go(f"{QUEUE}/{following}" if following else QUEUE, done)


def _meanwhile(now: Creative, call: Call) -> str:
    """What came between the look and the decision."""
    seen = (call.form.text("hash"), call.form.text("state"))
    if seen[0] != content_hash(now.kind, now.content) or seen[1] in ("", now.state):
        return CHANGED
    return DECIDED.format(words=f"{now.state}, because: {now.reason}" if now.reason else now.state)


async def approve(call: Call) -> Response:
    return await _decide(call, "approve", "approved")


async def reject(call: Call) -> Response:
    return await _decide(call, "reject", "rejected", _reason(call))


ONE = f"{QUEUE}/{{id}}"
PAGES = (
    Page("GET", QUEUE, queue, STAFF, nav="Review"),
    Page("GET", ONE, one, STAFF, "creative"),
    Page("POST", f"{ONE}/approve", approve, REVIEW, "creative"),
    Page("POST", f"{ONE}/reject", reject, REVIEW, "creative"),
)
