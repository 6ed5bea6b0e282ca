"""What is there for a caller: the one check of every id that comes from outside, of lists and of the audit."""

from __future__ import annotations

from adserve.core.access import Account, owns, sees
from adserve.core.model import Thing
from adserve.errors import NotFound
from adserve.flows.services import Services
from adserve.store.catalog import Audit

AT_ONCE, LOOKS = 500, 20
"""Lines of the audit that one look reads, and how often one call looks: who sees little of it must not make
the store read all of it."""
AT_ONE_CALL = AT_ONCE * LOOKS


async def require(services: Services, account: Account, kind: str, id_: str) -> None:
    """NotFound for what is not there for this account. What is another's takes as long and answers the same as
    what is nobody's: both are looked up in memory, after the same question to the store."""
    if account.advertiser is None:
        return
    things = await services.catalog.all()
    thing = things.get(f"{kind}:{id_}")
    if thing is None or not sees(account, things, thing):
        raise NotFound(f"there is no {kind} with this id")


async def visible(services: Services, account: Account, kind: str) -> list[Thing]:
    """The objects of a kind that are there for this account, by id."""
    things = await services.catalog.all()
    found = (thing for name, thing in things.items() if name.startswith(f"{kind}:"))
    return sorted((one for one in found if sees(account, things, one)), key=lambda one: one.id)


async def read_audit(
    services: Services, account: Account, *, before: str = "+", limit: int, actor: str = "", what: str = ""
) -> tuple[Audit, str | None]:
    """`(lines, after)`: the newest changes of what is the account's, by `actor` and of `what` (`kind:id`, or a
    kind) where they are given, and the cursor to go on with. A page may be short, even empty, and have one."""
    things = await services.catalog.all() if account.advertiser is not None else {}

    def wanted(line: dict[str, str]) -> bool:
        if actor not in ("", line["actor"]) or what not in ("", line["what"], line["what"].partition(":")[0]):
            return False
        if account.advertiser is None:
            return True
        thing = things.get(line["what"])
        return thing is not None and owns(account, things, thing)

    found: Audit = []
    for _ in range(LOOKS):
        lines = await services.catalog.audit(before=before, limit=AT_ONCE)
        found += filter(wanted, lines)
        if len(found) > limit:
            return found[:limit], found[limit - 1]["id"]
        if len(lines) < AT_ONCE:
            return found, None
        before = lines[-1]["id"]
    return found, before
