"""What a reviewer is shown of a landing URL: both spellings of the host, and what may deceive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserve.core.landing import describe_landing, warnings_for_host
from adserve.core.urls import check_landing_url


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("a.example", []),
        ("r3---sn-x.my_shop.example", []),
        ("xn--80ak6aa92e.com", ["\u0430\u0440\u0440\u04cf\u0435", "looks like a Latin"]),
        ("xn--pypal-4ve.com", ["p\u0430ypal", "mixes"]),
        ("xn--bcher-kva.example", ["bücher"]),
        ("xn--wgv71a119e.jp", ["日本語"]),
        ("xn--a.example", ["not a valid"]),
        ("8.8.8.8", ["an address"]),
        ("[2606:4700::1111]", ["an address"]),
    ],
)
def test_a_reviewer_is_told_what_a_host_hides(host: str, words: list[str]) -> None:
    """One sentence for each finding, in this order; none for an ordinary name."""
    warnings = warnings_for_host(host)
    assert len(warnings) == len(words)
    assert all(word in warning for word, warning in zip(words, warnings, strict=True))


@given(st.text())
def test_warnings_never_raise(host: str) -> None:
    """Whatever stands in the store."""
    warnings_for_host(host)
    warnings_for_host("xn--" + host)


@pytest.mark.parametrize(
    ("typed", "host", "unicode_host", "words"),
    [
        ("https://shop.example/a?b=%20c", "shop.example", "shop.example", []),
        ("https://Bücher.example:8443/", "xn--bcher-kva.example", "bücher.example", ["shown by browsers"]),
        ("https://\u0430\u0440\u0440\u04cf\u0435.com/", "xn--80ak6aa92e.com", "\u0430\u0440\u0440\u04cf\u0435.com",
         ["cyrillic", "imitate “apple”"]),
        ("https://p\u0430ypal.com/", "xn--pypal-4ve.com", "p\u0430ypal.com", ["cyrillic, latin", "mixes"]),
        ("https://shop.example/%E2%80%AEgpj.exe", "shop.example", "shop.example", ["turn the direction"]),
    ],
)  # fmt: skip
def test_a_landing_url_is_described_as_it_leads(typed: str, host: str, unicode_host: str, words: list[str]) -> None:
    """What is stored of what was typed: A-label, U-label and a sentence for each thing that may deceive."""
    shown = describe_landing(check_landing_url(typed))
    assert (shown.host, shown.unicode_host) == (host, unicode_host)
    assert len(shown.warnings) == len(words)
    assert all(word in warning for word, warning in zip(words, shown.warnings, strict=True))


@given(st.text())
def test_describing_never_raises(url: str) -> None:
    """Whatever stands in the store, also where it is no address at all."""
    describe_landing(url)
    describe_landing("https://" + url)
