"""Tokens verify only with their own purpose, keys and bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserve.core.token import KINDS, LENGTH, Key, Serve, Signer, decision_id, read_decision
from adserve.errors import BadToken

KEY = Key.derive(b"a first secret of more than thirty-two bytes")
OTHER = Key.derive(b"another secret of more than thirty-two bytes")
SERVE = Serve(123456789, 42, 1_790_000_000, 7, 9, 0, 3, 1, 2)

serves = st.builds(
    Serve,
    incarnation=st.integers(0, 2**40 - 1),
    ordinal=st.integers(0, 2**32 - 1),
    issued=st.integers(0, 2**32 - 1),
    slot=st.integers(0, 2**24 - 1),
    revision=st.integers(0, 2**32 - 1),
    grant=st.integers(0, 2**32 - 1),
    tag=st.integers(0, 15),
    tier=st.integers(0, 3),
    device=st.integers(0, 3),
    flags=st.integers(0, 15),
)


@given(serves)
def test_every_serve_round_trips(serve: Serve) -> None:
    """What is minted is what is verified, for each purpose, in 48 characters."""
    tokens = Signer([KEY]).mint(serve)
    for kind, token in zip(KINDS, tokens, strict=True):
        assert len(token) == LENGTH
        assert Signer([KEY]).verify(token, kind) == serve
    assert len({decision_id(token) for token in tokens}) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_of_another_purpose_is_refused(kind: str) -> None:
    """Only one of the three places of the MAC verifies."""
    signer = Signer([KEY])
    for other, token in zip(KINDS, signer.mint(SERVE), strict=True):
        if other != kind:
            with pytest.raises(BadToken):
                signer.verify(token, kind)


def test_every_changed_character_is_refused() -> None:
    """There are no slack bits: each of the 63 other characters in each place fails."""
    signer = Signer([KEY])
    token = signer.mint(SERVE)[0]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for place in range(LENGTH):
        for character in alphabet:
            if character != token[place]:
                with pytest.raises(BadToken):
                    signer.verify(token[:place] + character + token[place + 1 :], "i")


@given(st.text(max_size=120) | st.text("ABCDabcd0189-_=+/", min_size=48, max_size=48))
def test_any_text_is_refused_and_never_raises_otherwise(text: str) -> None:
    """Junk of every length and script is a BadToken."""
    with pytest.raises(BadToken):
        Signer([KEY]).verify(text, "i")


def test_every_cut_is_refused() -> None:
    """A token cut to each length, or lengthened, fails."""
    signer = Signer([KEY])
    token = signer.mint(SERVE)[2]
    for text in [token[:n] for n in range(LENGTH)] + [token + "A", token + "=", "=" + token]:
        with pytest.raises(BadToken):
            signer.verify(text, "c")


def test_rotation_keeps_old_tokens_until_their_key_is_gone() -> None:
    """The first key signs, all verify; a removed one no longer does."""
    old = Signer([KEY]).mint(SERVE)[0]
    assert Signer([OTHER, KEY]).verify(old, "i") == SERVE
    assert Signer([OTHER, KEY]).mint(SERVE)[0] != old
    with pytest.raises(BadToken):
        Signer([OTHER]).verify(old, "i")


def test_the_decision_id_gives_no_mac_away() -> None:
    """What is public of a serve ends where the payload ends."""
    token = Signer([KEY]).mint(SERVE)[0]
    assert token.startswith(decision_id(token))
    assert len(decision_id(token)) == 36


@pytest.mark.parametrize(
    "text", ["", "x", "A" * 36, "EAAA" * 8, "EAAA" * 10, "EAA+" * 9, "EAA=" * 9, "é" * 36, "EAA\n" * 9, "EA/A" * 9]
)
def test_a_text_that_is_no_decision_is_refused(text: str) -> None:
    with pytest.raises(BadToken):
        read_decision(text)
