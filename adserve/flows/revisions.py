"""What a creative was before: its revisions, how two of them differ, and one that comes back."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from adserve.core import lifecycle
from adserve.core import revisions as core
from adserve.core.gate import problems_of
from adserve.core.match import ANY, Match
from adserve.core.model import Content, Creative
from adserve.core.revisions import Change, Kept, Shown
from adserve.errors import Conflict, Invalid, NotFound, Problem
from adserve.flows.manage import again, booked_slots, get_thing, refresh
from adserve.flows.services import Services


async def get_creative(services: Services, id_: str) -> Creative:
    found = await get_thing(services, "creative", id_)
    assert isinstance(found, Creative)  # noqa: S101 - what the store holds under this kind
    return found


async def keep(services: Services, creative: Creative, *newer: Kept) -> None:
    """Keeps what a creative has now and its next version may not: its contents, which are nowhere else of one that is
    older than this, and its newest verdict; and `newer` contents."""
    if creative.judged is not None:
        await services.revisions.judge(creative.serial, creative.judged)
    contents = [one for one in (creative.live, creative.content) if one is not None]
    await services.revisions.keep(creative.serial, *(Kept(one) for one in contents), *newer)


async def list_revisions(services: Services, id_: str) -> Sequence[Shown]:
    """All of a creative, the newest first. NotFound."""
    return await _shown(services, await get_creative(services, id_))


async def get_revision(services: Services, id_: str, number: int) -> Shown:
    """One of them. NotFound."""
    return _of(await list_revisions(services, id_), number)


async def diff(services: Services, id_: str, before: int, after: int) -> tuple[Change, ...]:
    """What differs between two revisions. NotFound, Conflict for one whose content was not kept."""
    found = await list_revisions(services, id_)
    return core.changes(_content(_of(found, before)), _content(_of(found, after)))


async def restore(
    services: Services, id_: str, number: int, *, actor: str, match: Match = ANY, trusted: bool = False
) -> Creative:
    """Makes the content of a revision the newest one, which waits for review as any other. `trusted`: whether the
    caller may set trackers; for others they stay those of the newest. Conflict when it is what serves, or the newest
    already; Invalid when no slot of its campaign takes it any more."""

    async def once() -> Creative:
        before = await get_creative(services, id_)
        match.check(before)
        content = _content(_of(await _shown(services, before), number))
        if not trusted:
            content = replace(content, trackers=before.content.trackers)
        wanted = core.content_hash(before.kind, content)
        if before.live is not None and wanted == core.content_hash(before.kind, before.live):
            raise Conflict(f"revision {number} is the same as what serves")
        if wanted == core.content_hash(before.kind, before.content):
            raise Conflict(f"revision {number} is the same as the newest, which is {before.state}")
        owner = await get_thing(services, "campaign", before.campaign)
        slots = await booked_slots(services, getattr(owner, "slots", ()))
        if problems := problems_of(before.kind, content, slots):
            raise Invalid([Problem("/revision", f"{name}: {words}") for name, words in problems])
        serial = await services.catalog.serial("revision")
        fresh = replace(content, revision=len(before.revisions) + 1, serial=serial)
        after = lifecycle.edit(before, fresh)
        await keep(services, before, Kept(fresh, int(services.clock()), actor))
        done = await services.catalog.put("creative", after, before, actor=actor, action="restore")
        assert isinstance(done, Creative)  # noqa: S101 - it was one
        return done

    restored = await again(once)
    await refresh(services)
    return restored


async def _shown(services: Services, creative: Creative) -> list[Shown]:
    kept, verdicts = await services.revisions.all(creative.serial)
    if (newest := creative.judged) is not None:
        verdicts.setdefault(newest.revision, {})[newest.version] = newest.verdict
    own = {one.serial: Kept(one) for one in (creative.live, creative.content) if one is not None}
    found = []
    for one in reversed(creative.revisions):
        # what the catalog has is what counts: of what was kept there is only when and by whom
        known = kept.get(one.serial)
        if known is None or (one.serial in own and known.content != own[one.serial].content):
            known = own.get(one.serial)
        hashed = None if known is None else core.content_hash(creative.kind, known.content)
        state = core.state_of(creative, one.revision)
        said = verdicts.get(one.serial, {})
        found.append(Shown(one.revision, state, known, hashed, [said[at] for at in sorted(said, reverse=True)]))
    return found


def _of(found: Sequence[Shown], number: int) -> Shown:
    for one in found:
        if one.revision == number:
            return one
    raise NotFound("there is no revision with this number")


def _content(shown: Shown) -> Content:
    if shown.kept is None:
        raise Conflict(f"revision {shown.revision} was replaced before contents were kept")
    return shown.kept.content
