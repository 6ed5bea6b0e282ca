"""What a creative may become, and that nothing unreviewed ever serves."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adserve.core.lifecycle import MAX_REVISIONS, MOVES, edit, move
from adserve.core.model import Content, Creative, Revision
from adserve.core.revisions import genuine
from adserve.errors import Conflict

STATES = ("pending", "approved", "rejected", "paused", "archived")
ACTIONS = ("approve", "reject", "pause", "resume", "archive")


def content(revision: int) -> Content:
    return Content(revision=revision, serial=100 + revision, click_url=f"https://shop.example/{revision}")


def creative() -> Creative:
    return Creative(
        id="cr-a",
        serial=1,
        version=1,
        campaign="c",
        name="A",
        kind="text",
        content=content(1),
        revisions=(Revision(1, 101),),
    )


def test_the_table_is_the_one_of_the_documentation() -> None:
    """Every pair of state and action: the new state, or a conflict."""
    legal = {
        "approve": {"pending": "approved", "rejected": "approved"},
        "reject": {"pending": "rejected", "approved": "rejected", "paused": "rejected"},
        "pause": {"approved": "paused"},
        "resume": {"paused": "approved"},
        "archive": dict.fromkeys(("pending", "approved", "rejected", "paused"), "archived"),
    }
    for state, action in itertools.product(STATES, ACTIONS):
        assert MOVES.get((state, action)) == legal[action].get(state), (state, action)


def test_an_illegal_move_is_a_conflict() -> None:
    """A rejected creative cannot be paused."""
    with pytest.raises(Conflict):
        move(move(creative(), "reject", "Blurred"), "pause")
    with pytest.raises(Conflict):
        move(creative(), "publish")


def test_a_rejection_takes_everything_off_and_says_why() -> None:
    """The approved revision goes too; approving again forgets the reason."""
    rejected = move(move(creative(), "approve"), "reject", "Complaint")
    assert (rejected.state, rejected.live, rejected.reason) == ("rejected", None, "Complaint")
    approved = move(rejected, "approve")
    assert (approved.live, approved.reason) == (approved.content, "")


def test_the_approved_revision_serves_while_a_newer_one_waits() -> None:
    """New content of an approved creative: version 1 stays live until version 2 is approved."""
    edited = edit(move(creative(), "approve"), content(2))
    assert edited.state == "pending"
    assert edited.live == content(1)
    assert [one.revision for one in edited.revisions] == [1, 2]
    assert move(edited, "approve").live == content(2)


@pytest.mark.parametrize("stop", ["pause", "reject"])
def test_an_edit_does_not_start_what_was_stopped(stop: str) -> None:
    """A paused or rejected creative with new content serves nothing until it is reviewed."""
    assert edit(move(move(creative(), "approve"), stop, "why"), content(2)).live is None


def test_an_archived_creative_stays_archived() -> None:
    """It can neither be edited nor moved."""
    archived = move(creative(), "archive")
    with pytest.raises(Conflict):
        edit(archived, content(2))
    for action in ACTIONS:
        with pytest.raises(Conflict):
            move(archived, action)


def test_revisions_of_a_creative_have_an_end() -> None:
    """What is kept for good is bounded; the refusal says what to do."""
    full = replace(creative(), revisions=tuple(Revision(n, 100 + n) for n in range(1, MAX_REVISIONS)))
    full = edit(full, content(MAX_REVISIONS))
    assert len(full.revisions) == MAX_REVISIONS
    with pytest.raises(Conflict, match="make another creative"):
        edit(full, content(MAX_REVISIONS + 1))
    assert move(full, "approve").state == "approved"


@given(st.lists(st.sampled_from((*ACTIONS, "edit", "rename")), max_size=30))
def test_no_sequence_of_moves_makes_an_unreviewed_revision_live(steps: list[str]) -> None:
    """What is live is always a revision that somebody approved, and never after a stop."""
    one, approved = creative(), set[int]()
    for step in steps:
        try:
            if step == "edit":
                one = edit(one, content(len(one.revisions) + 1))
            elif step == "rename":
                one = replace(one, name="B")
            else:
                one = move(one, step, "because")
                if step == "approve":
                    approved.add(one.content.revision)
        except Conflict:
            continue
        assert one.live is None or one.live.revision in approved
        assert (one.pin is None) == (one.live is None)
        assert genuine(one)
        assert one.live is None or one.state in ("approved", "paused", "pending")
        if one.state == "approved":
            assert one.live == one.content
        if one.state in ("rejected", "archived"):
            assert one.live is None
        assert [r.revision for r in one.revisions] == list(range(1, len(one.revisions) + 1))
