"""What a review came to stands with it, whatever the store does meanwhile."""

from __future__ import annotations

import pytest

from adserve.flows.revisions import list_revisions
from tests.conftest import Api
from tests.faults import Fault, Proxy


async def verdicts(api: Api, id_: str) -> list[str]:
    """Of its only revision, the newest first."""
    (shown,) = await list_revisions(api.held.services, id_)
    return [one.state for one in shown.verdicts]


@pytest.mark.parametrize("fault", ["drop_reply", "reset"])
@pytest.mark.parametrize("write", ["verdict", "move"])
async def test_a_review_and_its_verdict_are_there_together_or_not_at_all(
    faulty: tuple[Api, Proxy], fault: Fault, write: str
) -> None:
    """The store fails at every write of either: what the state says, the newest verdict says too, and a review that
    failed is made again. Those of before stay."""
    api, between = faulty
    id_ = await api.creative("two", approve=False)
    moves = (("approve", None, "approved"), ("reject", {"reason": "Loud"}, "rejected"), ("approve", None, "approved"))
    told: list[str] = []
    for action, said, state in moves:
        between.set(fault, only=b":verdict" if write == "verdict" else f"\r\n{action}\r\n".encode())
        await api.call("POST", f"/creatives/{id_}/{action}", said)
        between.set("pass")
        moved = (await api.make("GET", f"/creatives/{id_}"))["state"] == state
        assert await verdicts(api, id_) == ([state] if moved else []) + told
        if not moved:
            await api.make("POST", f"/creatives/{id_}/{action}", said)
        told.insert(0, state)
        assert await verdicts(api, id_) == told
    assert between.dropped or fault == "reset"
