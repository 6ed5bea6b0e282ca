"""Targets to bit masks: which candidates of a tier a request's context leaves.

DESIGN. A rule looks at the values that a request says of one dimension. For each value that any rule names there is
the mask of the candidates that name it, so a request costs a look-up for each value *it* says, however many
candidates and values there are. `any` passes who has no such list or names one of the values, `none` takes those out
who name one, and `all` is kept as distinct sets under their rarest value, so that only sets which may be whole are
compared. Patterns of addresses become values too: said are those that match. What is not said fails `any` and `all`
and passes `none`; but a page that is not known, by label or address, may be what `none` is about: on a site with
`unlabelled: block` it fails that too.

Not chosen: walking over the candidates (3 ms for 10,000 of them), and rules as code.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from adserve.core.bits import everyone, given, kept, mask_of
from adserve.core.context import Context
from adserve.core.globs import Globs, pattern
from adserve.core.model import DEVICES, Rule, Target
from adserve.core.reasons import Reason
from adserve.core.words import folded_word

DIMENSIONS: Final = (
    Reason.TARGET_LABELS,
    Reason.TARGET_URLS,
    Reason.TARGET_LANGUAGES,
    Reason.TARGET_COUNTRIES,
    Reason.TARGET_DEVICES,
    Reason.TARGET_KV,
)
"""In the order of `Targeting.masks`."""
STEP = 100
"""Targets between two yields of `Targeting.steps`: about a millisecond when all of them have rules."""
Said = frozenset[object]
_NOTHING: Said = frozenset()
_KNOWN = ""
"""Said of every address beside the patterns that match."""
_NO_RULE = Target().labels
_Members = int | list[int]
"""As `core.masks.kept` has them."""


@lru_cache(maxsize=50_000)
def label_number(text: str) -> int:
    """A label as it is compared: 48 bits of its hash, the same for every way to write it (`core.words`)."""
    return int.from_bytes(blake2b(folded_word(text).encode("utf-8", "replace"), digest_size=6).digest(), "big")


class _Lists:
    """Candidates that name one or more of some values."""

    __slots__ = ("_by_value", "naming")

    def __init__(self, named: dict[object, list[int]], naming: list[int]) -> None:
        self._by_value: dict[object, _Members] = {value: kept(members) for value, members in named.items()}
        self.naming = mask_of(naming)
        """Those that name any at all."""

    def said(self, said: Said) -> int:
        """Those that name one of the values said."""
        found = 0
        if self.naming:
            for value in said:
                members = self._by_value.get(value)
                if members is not None:
                    found |= given(members)
        return found


class _Sets:
    """Candidates that want the whole of a set of values to be said."""

    __slots__ = ("_by_value", "wanting")

    def __init__(self, wanted: dict[Said, list[int]]) -> None:
        named: dict[object, int] = {}
        for values in wanted:
            for value in values:
                named[value] = named.get(value, 0) + 1
        wanting: list[int] = []
        self._by_value: dict[object, list[tuple[Said, _Members]]] = {}
        for values, members in wanted.items():
            rarest = min(values, key=named.__getitem__)
            self._by_value.setdefault(rarest, []).append((values, kept(members)))
            wanting += members
        self.wanting = mask_of(sorted(wanting))

    def failing(self, said: Said) -> int:
        """Those whose set is not said as a whole."""
        if not self.wanting:
            return 0
        passing = 0
        for value in said:
            for values, members in self._by_value.get(value, ()):
                if values <= said:
                    passing |= given(members)
        return self.wanting & ~passing


class _Gathered:
    """The rules of one dimension, as they are added candidate by candidate."""

    def __init__(self) -> None:
        self.any: dict[object, list[int]] = {}
        self.none: dict[object, list[int]] = {}
        self.all: dict[Said, list[int]] = {}
        self.any_of: list[int] = []
        self.none_of: list[int] = []

    def add(self, candidate: int, rule: Rule, value_of: Callable[[str], object]) -> bool:
        """Whether the rule asks for something to be said."""
        if rule.any:
            self.any_of.append(candidate)
            for value in {value_of(text) for text in rule.any}:
                self.any.setdefault(value, []).append(candidate)
        if rule.none:
            self.none_of.append(candidate)
            for value in {value_of(text) for text in rule.none}:
                self.none.setdefault(value, []).append(candidate)
        if rule.all:
            self.all.setdefault(frozenset(value_of(text) for text in rule.all), []).append(candidate)
        return bool(rule.any or rule.all)


class _Rules:
    """The rules of one dimension, ready to be asked."""

    __slots__ = ("_all", "_any", "_none", "_unsaid", "there")

    def __init__(self, found: _Gathered, *, strict: bool = False) -> None:
        """`strict`: `none` fails too when nothing is said."""
        self._any = _Lists(found.any, found.any_of)
        self._none = _Lists(found.none, found.none_of)
        self._all = _Sets(found.all)
        self._unsaid = self._any.naming | self._all.wanting | (self._none.naming if strict else 0)
        self.there = bool(found.any_of or found.none_of or found.all)

    def failing(self, said: Said) -> int:
        """The candidates that fail when these values are said."""
        if not said:
            return self._unsaid
        return (self._any.naming & ~self._any.said(said)) | self._all.failing(said) | self._none.said(said)


class Targeting:
    """The targets of the candidates of one tier of a slot, in their order."""

    __slots__ = ("_everyone", "_globs", "_kv", "_kv_names", "_open", "_rules", "plain")

    plain: bool
    """Whether no candidate has a rule."""

    def __init__(self, targets: Sequence[Target | None], *, block_unlabelled: bool) -> None:
        """All in one go: about a millisecond for each 100 targets with rules; see `steps`."""
        for _ in self._make(targets, block_unlabelled):
            pass

    @classmethod
    def steps(cls, targets: Sequence[Target | None], *, block_unlabelled: bool) -> Generator[None, None, Targeting]:
        """The same in steps of a millisecond, for who may not wait longer."""
        made = cls.__new__(cls)
        yield from made._make(targets, block_unlabelled)
        return made

    @property
    def sees(self) -> tuple[str, ...]:
        """The fields of a context that any rule looks at."""
        fields = ("labels", "url", "languages", "country", "device")
        found = [name for name, rules in zip(fields, self._rules, strict=True) if rules.there]
        return (*found, "kv") if self._kv else tuple(found)

    def masks(self, context: Context) -> tuple[int, ...]:
        """For each of `DIMENSIONS` the mask of the candidates that pass it."""
        if self.plain:
            return self._open
        everyone, (labels, urls, languages, countries, devices) = self._everyone, self._rules
        matching = _NOTHING
        address = context.url
        if address is not None and urls.there:
            # the address itself is said too, so that a page which no pattern matches is no unknown one
            matching = frozenset((*self._globs.matching(address), _KNOWN))
        return (
            everyone & ~labels.failing(context.labels),
            everyone & ~urls.failing(matching),
            everyone & ~languages.failing(frozenset(context.languages)),
            everyone & ~countries.failing(_NOTHING if context.country is None else frozenset((context.country,))),
            everyone & ~devices.failing(frozenset((context.device,)) if context.device else _NOTHING),
            everyone & ~self._failing_kv(context.kv),
        )

    def _failing_kv(self, pairs: tuple[tuple[str, tuple[str, ...]], ...]) -> int:
        if not self._kv:
            return 0
        # who asks for a name that is not said fails: names are a set of their own
        failing = self._kv_names.failing(frozenset(name for name, _ in pairs))
        for name, values in pairs:
            rules = self._kv.get(name)
            if rules is not None:
                failing |= rules.failing(frozenset(values))
        return failing

    def _make(self, targets: Sequence[Target | None], block_unlabelled: bool) -> Generator[None, None, None]:
        self._everyone = everyone(len(targets))
        self._open = (self._everyone,) * len(DIMENSIONS)
        found = [_Gathered() for _ in _VALUES]
        kv: dict[str, _Gathered] = {}
        names: dict[Said, list[int]] = {}
        met = 0
        for candidate, target in enumerate(targets):
            if target is None:
                continue
            for gathered, (dimension, value_of) in zip(found, _VALUES, strict=True):
                rule: Rule = getattr(target, dimension)
                if rule is not _NO_RULE:
                    gathered.add(candidate, rule, value_of)
            asked = []
            for name, rule in target.kv.items():
                if kv.setdefault(name, _Gathered()).add(candidate, rule, folded_word):
                    asked.append(name)
            if asked:
                names.setdefault(frozenset(asked), []).append(candidate)
            met += 1
            if met % STEP == 0:
                yield
        strict = {"labels": block_unlabelled, "urls": block_unlabelled}
        self._rules: list[_Rules] = []
        for gathered, (dimension, _) in zip(found, _VALUES, strict=True):
            self._rules.append(_Rules(gathered, strict=strict.get(dimension, False)))
            yield
        self._globs = Globs()
        for at, form in enumerate(dict.fromkeys(_patterns(found[1])), 1):
            self._globs.add(form)
            if at % STEP == 0:
                yield
        self._kv: dict[str, _Rules] = {}
        for at, (name, gathered) in enumerate(kv.items(), 1):
            self._kv[name] = _Rules(gathered)
            if at % STEP == 0:
                yield
        self._kv_names = _Sets(names)
        self.plain = not (any(rules.there for rules in self._rules) or any(one.there for one in self._kv.values()))


def _patterns(urls: _Gathered) -> Iterator[str]:
    for values in (urls.any, urls.none, *urls.all):
        yield from map(str, values)


@lru_cache(maxsize=50_000)
def _pattern(text: str) -> str:
    try:
        return pattern(text)
    except ValueError:
        return text


def _device(name: str) -> int:
    return DEVICES.index(name) if name in DEVICES else len(DEVICES)


_VALUES: Final[tuple[tuple[str, Callable[[str], object]], ...]] = (
    ("labels", label_number),
    ("urls", _pattern),
    ("languages", str.lower),
    ("countries", str.upper),
    ("devices", _device),
)
"""Dimensions of a target, and what a value of a rule is compared as. No value fails: the checks are elsewhere, and one
that none of them let in is one that no request says."""
