"""Targets against contexts: masks as a walk over the candidates would have them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adserve.core.context import Context
from adserve.core.globs import Glob, page_address, pattern
from adserve.core.model import DEVICES, Rule, Target
from adserve.core.reasons import Reason
from adserve.core.targeting import DIMENSIONS, Targeting, label_number
from adserve.core.words import folded_word

LABELS = ["conflict", "Straße", "संघर्ष", "戰爭", "ÉLECTIONS", "sport"]
URLS = ["news.example/*", "news.example/world/*", "*.example/*", "news.example/world", "*/a/*", "other.example", "*"]
PAGES = [
    "elsewhere.test/x",
    "news.example/world/a",
    "https://News.example/world/",
    "m.news.example/a/b?x=1",
    "other.example",
    "x.test/a/",
]
LANGUAGES = ["en", "en-gb", "zh", "zh-hant", "hi"]
FALLBACKS = [(), ("en",), ("en-gb", "en"), ("zh-hant-tw", "zh-hant", "zh"), ("hi",)]
WORDS = ["a", "Été", "c d"]


def rules(values: list[str]) -> st.SearchStrategy[Rule]:
    some = st.lists(st.sampled_from(values), max_size=3, unique=True).map(tuple)
    return st.builds(Rule, any=some, all=some, none=some)


targets = st.builds(
    Target,
    labels=rules(LABELS),
    urls=rules(URLS),
    languages=rules(LANGUAGES),
    countries=rules(["IN", "NP", "DE"]),
    devices=rules(list(DEVICES[1:])),
    kv=st.dictionaries(st.sampled_from(["section", "tier"]), rules(WORDS), max_size=2),
)
contexts = st.builds(
    Context,
    labels=st.frozensets(st.sampled_from(LABELS).map(label_number)),
    url=st.sampled_from([None, *map(page_address, PAGES)]),
    languages=st.sampled_from(FALLBACKS),
    country=st.sampled_from([None, "IN", "NP", "FR"]),
    device=st.integers(0, 3),
    kv=st.dictionaries(
        st.sampled_from(["section", "tier", "other"]),
        st.lists(st.sampled_from(WORDS).map(folded_word), min_size=1, unique=True).map(sorted).map(tuple),
    ).map(lambda found: tuple(sorted(found.items()))),
)


def passes(rule: Rule, named: Any, known: bool, *, unknown_is_none: bool = True) -> bool:
    """The meaning of a rule: `named` says of one of its values whether the request has it."""
    if rule.any and not any(map(named, rule.any)):
        return False
    if not all(map(named, rule.all)):
        return False
    return not (rule.none and (any(map(named, rule.none)) or not (known or unknown_is_none)))


def naive(target: Target | None, context: Context, block: bool) -> list[bool]:
    """Whether one target lets a context through, dimension by dimension."""
    if target is None:
        return [True] * len(DIMENSIONS)
    kv = dict(context.kv)
    return [
        passes(
            target.labels, lambda x: label_number(x) in context.labels, bool(context.labels), unknown_is_none=not block
        ),
        passes(
            target.urls,
            lambda x: context.url is not None and Glob(pattern(x)).matches(context.url),
            context.url is not None,
            unknown_is_none=not block,
        ),
        passes(target.languages, lambda x: x in context.languages, True),
        passes(target.countries, lambda x: x == context.country, True),
        passes(target.devices, lambda x: x == DEVICES[context.device], True),
        all(passes(rule, lambda x, n=name: folded_word(x) in kv.get(n, ()), True) for name, rule in target.kv.items()),
    ]


def bits(values: Iterable[bool]) -> int:
    return sum(1 << at for at, value in enumerate(values) if value)


@settings(max_examples=400)
@given(st.lists(st.none() | targets, max_size=40), contexts, st.booleans())
def test_masks_are_what_a_walk_over_the_candidates_finds(
    found: list[Target | None], context: Context, block: bool
) -> None:
    """Every dimension, every kind of rule, on sites that block what is not known and on those that do not."""
    table = [naive(one, context, block) for one in found]
    wanted = tuple(bits(row[at] for row in table) for at in range(len(DIMENSIONS)))
    assert Targeting(found, block_unlabelled=block).masks(context) == wanted


@settings(max_examples=20)
@given(st.lists(targets, min_size=1, max_size=6), contexts)
def test_masks_of_many_candidates_are_those_of_few_repeated(found: list[Target], context: Context) -> None:
    """Masks that are kept as such, and steps: more than 16 candidates of one value, more than one step."""
    many = found * 40
    steps = Targeting.steps(many, block_unlabelled=False)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            made: Targeting = done.value
            break
    few = Targeting(found, block_unlabelled=False).masks(context)
    assert made.masks(context) == tuple(sum(mask << len(found) * at for at in range(40)) for mask in few)


def test_without_rules_every_candidate_passes() -> None:
    """Hours are no rule of a dimension."""
    plain = Targeting([None, Target(hours=("mon",)), None], block_unlabelled=True)
    assert plain.plain
    assert plain.masks(Context()) == (0b111,) * 6
    assert Targeting([], block_unlabelled=False).masks(Context()) == (0,) * 6


def test_an_address_that_no_pattern_matches_is_known_all_the_same() -> None:
    """On a site that blocks what is not known."""
    one = Targeting([Target(urls=Rule(none=("news.example/live/*",)))], block_unlabelled=True)
    masks = [one.masks(Context(url=url))[1] for url in ("news.example/a/", "news.example/live/", None)]
    assert masks == [1, 0, 0]


def test_dimensions_stand_in_the_order_of_the_reasons() -> None:
    order = list(Reason)
    assert sorted(DIMENSIONS, key=order.index) == list(DIMENSIONS)
    assert {one for one in Reason if one.startswith("target_")} == set(DIMENSIONS)


SPELT = [
    ("conflict", ["CONFLICT", "Conflict", "  conflict ", "\u3000conflict\u3000", "con\u200bflict", "\ufeffconflict"]),
    ("élections", ["E\u0301LECTIONS", "ÉLECTIONS", "e\u0301lections\u00a0"]),
    ("Straße", ["STRASSE", "strasse", "STRAẞE"]),
    ("ΠΌΛΕΜΟΣ", ["πόλεμος", "πόλεμοσ", "ΠΟ\u0301ΛΕΜΟΣ"]),  # noqa: RUF001
    ("संघर्ष", [unicodedata.normalize("NFD", "संघर्ष"), "संघर्ष\u200d"]),
    ("क़ब्ज़ा", [unicodedata.normalize("NFC", "क़ब्ज़ा"), unicodedata.normalize("NFD", "क़ब्ज़ा")]),
    ("전쟁", [unicodedata.normalize("NFD", "전쟁")]),
    ("armed conflict", ["Armed  Conflict", "armed\u3000conflict", "armed\u2003conflict\t"]),
    ("صراع", [" صراع", "\u200fصراع"]),  # noqa: RUF001
]


@pytest.mark.parametrize(("written", "said"), [(w, s) for w, all_said in SPELT for s in all_said])
@pytest.mark.parametrize("turned", [False, True])
def test_a_label_is_the_same_however_it_is_written(written: str, said: str, turned: bool) -> None:
    """What an advertiser excludes is excluded in any case, composition and spacing."""
    rule, page = (said, written) if turned else (written, said)
    one = Targeting([Target(labels=Rule(none=(rule,)))], block_unlabelled=False)
    assert one.masks(Context(labels=frozenset({label_number(page), label_number("world")})))[0] == 0
    assert one.masks(Context(labels=frozenset({label_number("world")})))[0] == 1


@given(st.text(max_size=40))
def test_folding_a_word_again_changes_nothing(text: str) -> None:
    """So a stored word and a word of a request meet."""
    once = folded_word(text)
    assert folded_word(once) == once == folded_word(unicodedata.normalize("NFD", text))
    assert 0 <= label_number(text) < 2**48


def test_every_letter_folds_once() -> None:
    """All of Unicode, in every letter case."""
    for code in range(0x110000):
        if not 0xD800 <= code < 0xE000:
            once = folded_word.__wrapped__(f"a{chr(code)}b")
            assert folded_word.__wrapped__(once) == once, hex(code)
