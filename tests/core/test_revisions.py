"""The hash that an approval pins, the states of revisions, and what differs between two."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from adserve.core.lifecycle import edit, move
from adserve.core.model import Content, Creative, Media, Revision, Verdict
from adserve.core.revisions import Kept, Shown, changes, content_hash, genuine, rejections, state_of

MEDIA = Media("a" * 40 + ".png", "image/png", 1000)
FULL = Content(
    revision=1, serial=101, click_url="https://shop.example/1", width=300, height=250, alt="A", title="T", body="B",
    html="<p>", media=MEDIA,
)  # fmt: skip


def creative(content: Content = FULL) -> Creative:
    return Creative(
        id="cr-a", serial=1, version=1, campaign="c", name="A", kind="image", content=content,
        revisions=(Revision(1, 101),),
    )  # fmt: skip


@pytest.mark.parametrize("name", [n for n in Content.__struct_fields__ if n not in ("revision", "serial")])
def test_each_member_of_a_content_is_hashed(name: str) -> None:
    """Another value, also an empty one, makes another hash; a member that is added to the model is tried too."""
    value: Any = getattr(FULL, name)
    others: dict[type, Any] = {str: f"{value}x", int: 7, tuple: (), type(None): MEDIA, Media: None}
    other = others[type(value)] if value != () else ("https://count.example/1",)
    assert content_hash("image", replace(FULL, **{name: other})) != content_hash("image", FULL)


def test_what_is_hashed_is_what_is_shown_and_its_kind() -> None:
    """Number and serial are a revision's place and no part of it; the same of another kind is another."""
    assert content_hash("image", replace(FULL, revision=9, serial=900)) == content_hash("image", FULL)
    assert content_hash("text", FULL) != content_hash("image", FULL)
    other = replace(FULL, media=Media("b" * 40 + ".png", "image/png", 1000))
    assert content_hash("image", other) != content_hash("image", FULL)


def test_a_hash_stays_what_it_was() -> None:
    """Members that later versions add are empty in what was approved before them, and empty ones are not hashed."""
    plain = Content(revision=1, serial=1, click_url="https://shop.example/", title="Tea")
    said = b'{"click_url":"https://shop.example/","kind":"text","title":"Tea"}'
    assert content_hash("text", plain) == hashlib.sha256(said).hexdigest()


def test_an_altered_live_content_is_not_genuine() -> None:
    """With a pin it is found; without one, of an approval before there were pins, nothing can be said."""
    approved = move(creative(), "approve", by="k", at=5)
    assert genuine(approved)
    assert approved.live is not None
    altered = replace(approved, live=replace(approved.live, click_url="https://evil.example/"))
    assert not genuine(altered)
    assert genuine(replace(altered, pin=None))
    assert genuine(creative())


def test_states_of_revisions() -> None:
    """The one that serves, the one that waits, those that were replaced; a stop and a rejection show on the newest."""
    one = move(creative(), "approve")
    two = edit(one, replace(FULL, revision=2, serial=102, alt="B"))
    assert [state_of(two, n) for n in (1, 2)] == ["live", "waiting"]
    three = move(two, "approve")
    assert [state_of(three, n) for n in (1, 2)] == ["past", "live"]
    assert state_of(move(three, "pause"), 2) == "paused"
    assert [state_of(move(two, "reject", "no"), n) for n in (1, 2)] == ["past", "rejected"]
    assert state_of(move(three, "archive"), 2) == "archived"


def test_a_diff_names_members_with_both_values() -> None:
    """Files by name and size; what is the same is not in it, nor the place of a revision."""
    other = Media("b" * 40 + ".png", "image/png", 2000)
    found = changes(FULL, replace(FULL, revision=2, serial=102, alt="B", media=other))
    assert [(one.member, one.before, one.after) for one in found] == [
        ("alt", "A", "B"),
        ("media", msgspec.to_builtins(MEDIA), msgspec.to_builtins(other)),
    ]
    assert changes(FULL, FULL) == ()


def test_only_the_rejection_that_stands_is_left_out_of_earlier_ones() -> None:
    """It is of the newest revision. Where nobody noted that one, those of older revisions are all shown."""
    two = move(edit(creative(), replace(FULL, revision=2, serial=102, alt="B")), "reject", "Loud")
    said = {number: Verdict("rejected", number, "k", f"no {number}") for number in (1, 2)}

    def found(*noted: int) -> list[int]:
        history = [Shown(n, "", Kept(FULL), "", [said[n]] if n in noted else ()) for n in (2, 1)]
        return [one.revision for one in rejections(two, history)]

    assert (found(1, 2), found(1), found(2), found()) == ([1], [1], [], [])
