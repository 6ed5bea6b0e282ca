"""The legal moves of a creative. What is not in the table is a conflict."""

from __future__ import annotations

from msgspec.structs import replace

from adserve.core.model import Content, Creative, Judged, Pin, Revision, Verdict
from adserve.core.revisions import content_hash
from adserve.errors import Conflict

MOVES: dict[tuple[str, str], str] = {
    ("pending", "approve"): "approved",
    ("rejected", "approve"): "approved",
    ("pending", "reject"): "rejected",
    ("approved", "reject"): "rejected",
    ("paused", "reject"): "rejected",
    ("approved", "pause"): "paused",
    ("paused", "resume"): "approved",
    ("pending", "archive"): "archived",
    ("approved", "archive"): "archived",
    ("paused", "archive"): "archived",
    ("rejected", "archive"): "archived",
}

MAX_REVISIONS = 1_000
"""Of a creative. Each is kept for good, and every worker knows where each one leads."""
REVIEWS = ("approve", "reject")
"""Moves that are a verdict on the newest revision."""


def move(creative: Creative, action: str, reason: str = "", *, by: str = "", at: int = 0) -> Creative:
    """The creative after a move. Only `approve` makes a revision live, and it is the newest one, whose hash it
    pins; a rejection or an archival takes it off every page whole. `by` and `at` (epoch s) are noted of a review."""
    state = MOVES.get((creative.state, action))
    if state is None:
        raise Conflict(f"a creative that is {creative.state} cannot be moved by {action}")
    live, pin = creative.live, creative.pin
    if action == "approve":
        live, pin = creative.content, Pin(content_hash(creative.kind, creative.content), at, by)
    elif state in ("rejected", "archived"):
        live = pin = None
    judged = creative.judged
    if action in REVIEWS:
        judged = Judged(creative.content.serial, creative.version + 1, Verdict(state, at, by, reason))
    reason = reason if action == "reject" else ""
    return replace(creative, state=state, live=live, pin=pin, judged=judged, reason=reason)


def edit(creative: Creative, content: Content) -> Creative:
    """New content: a new revision that waits for review. The approved one keeps serving meanwhile,
    unless the creative was paused, which stays a stop until review. Conflict when it has too many."""
    if creative.state == "archived":
        raise Conflict("an archived creative cannot be edited")
    if len(creative.revisions) >= MAX_REVISIONS:
        raise Conflict(f"it has {MAX_REVISIONS:,} revisions: make another creative")
    revisions = (*creative.revisions, Revision(content.revision, content.serial))
    live = creative.live if creative.state in ("approved", "pending") else None
    pin = creative.pin if live is not None else None
    return replace(creative, content=content, revisions=revisions, state="pending", live=live, pin=pin, reason="")


def archive_with(creative: Creative) -> Creative:
    """Archived because its campaign is. It keeps why it was rejected, and comes back with its campaign."""
    return replace(move(creative, "archive"), with_campaign=True, reason=creative.reason)


def restore(creative: Creative) -> Creative:
    """Out of the archive, which is no move of the table: whatever it was, it waits for review, save that a rejection
    stays one in what was archived with its campaign. Archived by itself it comes back to a review that is shown what
    the one before said."""
    if creative.state != "archived":
        raise Conflict("it is not archived")
    state = "rejected" if creative.reason else "pending"
    return replace(creative, state=state, live=None, pin=None, with_campaign=False)
