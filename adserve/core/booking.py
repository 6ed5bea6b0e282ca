"""What stands in a campaign's way, as far as its own words and those around it say: for the people who booked it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from adserve.core.fit import fits
from adserve.core.model import Advertiser, Campaign, Creative, Site, Slot
from adserve.core.schedule import local_day, zone


class Remark(NamedTuple):
    """`grave`: as long as it holds the campaign serves nothing."""

    code: str
    detail: str
    grave: bool = True


class Around(NamedTuple):
    """What a campaign stands among: the slots that it books and that are in use, each with its site, and its creatives
    that are."""

    advertiser: Advertiser | None
    slots: Sequence[tuple[Slot, Site]]
    creatives: Sequence[Creative]


def remarks(campaign: Campaign, around: Around, now: int) -> list[Remark]:
    """The gravest first. Of a campaign that is archived there is nothing to say."""
    if campaign.state == "archived":
        return []
    found = [*_flight(campaign, now), *_of_slots(campaign, around), *_of_creatives(around, now)]
    if around.advertiser is not None and around.advertiser.state == "archived":
        found.append(Remark("advertiser", "Its advertiser is archived."))
    if campaign.weight == 0:
        found.append(Remark("weight_zero", "Its weight is 0, which never serves."))
    return sorted(found, key=lambda one: not one.grave)


def serving(creative: Creative, now: int) -> bool:
    """Whether readers may see it: approved, also while a newer revision waits, with a weight, in its dates."""
    return (
        creative.live is not None
        and creative.state in ("approved", "pending")
        and creative.weight > 0
        and (creative.starts_at is None or creative.starts_at <= now)
        and (creative.ends_at is None or creative.ends_at > now)
    )


def _flight(campaign: Campaign, now: int) -> list[Remark]:
    tz = zone(campaign.zone)
    today = local_day(now, tz)
    if campaign.ends_at is not None:
        if campaign.ends_at <= now:
            return [Remark("ended", f"It ended on {local_day(campaign.ends_at - 1, tz).isoformat()}.")]
        last = local_day(campaign.ends_at - 1, tz)
        if last <= today + timedelta(days=1):
            when = "today" if last == today else "tomorrow"
            return [Remark("ends_soon", f"It ends {when}.", grave=False)]
    if campaign.starts_at is not None and campaign.starts_at > now:
        return [Remark("not_started", f"It starts on {local_day(campaign.starts_at, tz).isoformat()}.", grave=False)]
    return []


def _of_slots(campaign: Campaign, around: Around) -> list[Remark]:
    if not campaign.slots:
        return [Remark("no_slot", "It books no slot: say where it runs.")]
    if not around.slots:
        return [Remark("no_slot", "None of the slots that it books is in use any more.")]
    open_ = [slot for slot, site in around.slots if slot.state == site.state == "active"]
    if not open_:
        return [Remark("slots_stopped", "All of the slots that it books are stopped.")]
    if len(open_) < len(around.slots):
        stopped = ", ".join(slot.id for slot, _ in around.slots if slot not in open_)
        return [Remark("slot_stopped", f"Stopped for all campaigns: {stopped}.", grave=False)]
    return []


def _rejected(creatives: Sequence[Creative]) -> list[Remark]:
    """What reviews asked of the owner, the newest content first: it waits for nobody else. Grave is only what it leaves
    without a creative, which is said beside it."""
    them = sorted((one for one in creatives if one.state == "rejected"), key=lambda one: -one.content.serial)
    if not them:
        return []
    more = f" And {len(them) - 1} more of its creatives." if len(them) > 1 else ""
    return [Remark("rejected", f"“{them[0].name}” was rejected: {them[0].reason}{more}", grave=False)]


def _of_creatives(around: Around, now: int) -> list[Remark]:
    waiting = sum(one.state == "pending" for one in around.creatives)
    wait = f"{waiting} {'waits' if waiting == 1 else 'wait'} for review"
    live = [one for one in around.creatives if serving(one, now)]
    if not around.creatives:
        return [Remark("no_creative", "It has no creative: upload one.")]
    found = _rejected(around.creatives)
    if not live:
        more = f": {wait}" if waiting else ""
        return [*found, Remark("none_approved", f"It has no approved creative that serves now{more}.")]
    if waiting:
        found.append(Remark("waiting", f"Of its creatives {wait}.", grave=False))
    bare = [slot.id for slot, _ in around.slots if not any(one.live and fits(one, one.live, slot) for one in live)]
    if around.slots and len(bare) == len(around.slots):
        found.append(Remark("none_fits", "None of its creatives has a size of the slots that it books."))
    elif bare:
        found.append(Remark("no_fit", f"It has no creative that fits {', '.join(bare)}.", grave=False))
    return found
