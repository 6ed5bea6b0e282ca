"""What stands for a visitor: digests that tell nothing, and addresses that count on their own serve alone."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from adserve.core.token import Key, Serve, Signer
from adserve.core.visitor import LENGTH, digests, sealed, unsealed

KEY = Key.derive(b"a first secret of more than thirty-two bytes")
OTHER = Key.derive(b"another secret of more than thirty-two bytes")
THIRD = Key.derive(b"the third secret of more than thirty-two bytes")
CHARACTERS = string.ascii_letters + string.digits + "-_"
SALTS = (b"s" * 16, b"t" * 16)
SERVE = Serve(123456789, 42, 1_790_000_000, 7, 9, 0, 3, 1, 2)
TOKENS = Signer([KEY]).mint(SERVE)
DIGEST = digests("reader-1", SALTS, [KEY])[0]


def test_a_visitor_has_a_digest_for_each_salt_and_secret() -> None:
    """In their order, the newest salt and the secret that signs first; of more than two secrets two count."""
    both = digests("reader-1", SALTS, [KEY, OTHER])
    assert both == (
        *digests("reader-1", SALTS[:1], [KEY]),
        *digests("reader-1", SALTS[:1], [OTHER]),
        *digests("reader-1", SALTS[1:], [KEY]),
        *digests("reader-1", SALTS[1:], [OTHER]),
    )
    assert len(set(both)) == 4
    assert digests("reader-1", SALTS, [KEY, OTHER, THIRD]) == both
    assert digests("reader-1", (), [KEY]) == ()


@given(st.text(CHARACTERS, min_size=1, max_size=64), st.text(CHARACTERS, min_size=1, max_size=64))
def test_digests_tell_visitors_apart_and_nothing_else(one: str, other: str) -> None:
    """24 characters of hex, whatever the id."""
    first, second = digests(one, SALTS[:1], [KEY]), digests(other, SALTS[:1], [KEY])
    assert (first == second) is (one == other)
    assert len(first[0]) == 24
    assert not set(first[0]) - set("0123456789abcdef")


def test_a_digest_comes_back_with_each_token_of_its_serve() -> None:
    """Impression and view have the same one, under every secret that verifies."""
    text = sealed(DIGEST, TOKENS[0], KEY)
    assert len(text) == LENGTH
    assert not set(text) - set(CHARACTERS)
    assert [unsealed(text, token, [OTHER, KEY]) for token in TOKENS] == [DIGEST] * 3
    assert unsealed(text, TOKENS[0], [OTHER]) is None


def test_a_digest_of_another_serve_is_refused() -> None:
    """Nobody takes one along to another token, and nobody puts another digest under a MAC."""
    foreign = Signer([KEY]).mint(SERVE._replace(ordinal=43))[0]
    text = sealed(DIGEST, TOKENS[0], KEY)
    assert unsealed(text, foreign, [KEY]) is None
    another = sealed(digests("reader-2", SALTS, [KEY])[0], TOKENS[0], KEY)
    assert unsealed(another[:16] + text[16:], TOKENS[0], [KEY]) is None


def test_each_changed_character_and_each_cut_is_refused() -> None:
    """There are no slack bits."""
    text = sealed(DIGEST, TOKENS[0], KEY)
    for place in range(LENGTH):
        for character in CHARACTERS:
            if character != text[place]:
                assert unsealed(text[:place] + character + text[place + 1 :], TOKENS[0], [KEY]) is None
    for other in (*(text[:length] for length in range(LENGTH)), text + "A", text + "=", "+" + text[1:], text + text):
        assert unsealed(other, TOKENS[0], [KEY]) is None


@given(st.text(max_size=40) | st.text(CHARACTERS + "+/=", min_size=LENGTH, max_size=LENGTH))
def test_any_text_is_refused_and_never_raises(text: str) -> None:
    """Of any length and script."""
    assert unsealed(text, TOKENS[0], [KEY]) is None
