"""What one worker needs on the hot path. All of it is in memory; nothing here waits."""

from __future__ import annotations

import hashlib
import random
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import lru_cache

from adserve.core.allowance import Allowances
from adserve.core.catalog import Catalog
from adserve.core.curve import Curve
from adserve.core.figures import Figures
from adserve.core.journal import Journal
from adserve.core.model import Campaign
from adserve.core.plan import Sealer
from adserve.core.rotation import Draws
from adserve.core.standing import Standing
from adserve.core.token import Key, Signer
from adserve.core.traffic import Network, TrafficRules, is_trusted
from adserve.core.visitor import digests
from adserve.flows.curves import Curves
from adserve.store.clock import StoreClock
from adserve.store.frequency import Frequencies
from adserve.store.ledger import Ledger
from adserve.store.pairs import Pairs


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Seconds from the serve in which an event is in time."""

    impression_s: int = 600
    view_s: int = 3600
    click_s: int = 86_400

    def of(self, kind: str) -> int:
        return {"i": self.impression_s, "v": self.view_s, "c": self.click_s}[kind]


@dataclass(slots=True)
class Worker:
    """The serving side of one process."""

    ledger: Ledger
    keys: tuple[Key, ...]
    rules: TrafficRules
    clock: Callable[[], float]
    public_url: str | None = None
    fallback_url: str = "http://127.0.0.1:8000"
    trusted: tuple[Network, ...] = ()
    country_header: bytes = b""
    """In lower case; that of a trusted proxy is believed."""
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    draws: Draws = field(default_factory=lambda: Draws(random.Random(secrets.randbits(128))))  # noqa: S311
    workers: int = 1
    """How many there are, on this host."""
    allowance_s: int = 60
    """How long it serves what it took of a campaign with goals or caps."""
    standing: Standing = field(default_factory=Standing)
    """How campaigns with goals and caps stand."""
    allowances: Allowances = field(init=False)
    journal: Journal = field(default_factory=Journal)
    """What it decided last."""
    catalog: Catalog | None = None
    catch_up: Callable[[], Awaitable[bool]] | None = None
    """Loads what changed in the catalog just now; False when the store does not answer in a moment."""
    stale: bool = False
    """The catalog is too old to choose from; clicks and events of what was served still use it."""
    frequencies: Frequencies | None = None
    """What visitors have seen; without it, campaigns with a frequency are shown to none of them."""
    pairs: Pairs | None = None
    """What keyed pairs got; without it nothing of them is remembered."""
    figures: Figures = field(default_factory=Figures)
    curves: Curves = field(default_factory=Curves)
    malformed: int = 0
    """Malformed query parameters that were ignored."""
    clock_skew: int = 0
    clicks_uncounted: int = 0
    """Clicks that were sent on while the store could not count them."""
    signer: Signer = field(init=False)
    is_proxy: Callable[[str], bool] = field(init=False)
    """Whether an address is one of the trusted proxies."""
    plans: Sealer = field(init=False)

    def __post_init__(self) -> None:
        self.use_keys(self.keys)
        trusted = self.trusted
        self.is_proxy = lru_cache(maxsize=1_000)(lambda peer: is_trusted(peer, trusted))
        self.allowances = Allowances(
            self.standing,
            lambda: self.ledger.spaces.name,
            self._curve,
            workers=self.workers,
            lifetime_s=self.lifetimes.impression_s,
            grant_s=self.allowance_s,
            grace_s=self.allowance_s,
        )

    def _curve(self, campaign: Campaign, now: int) -> Curve | None:
        return self.curves.of(campaign, self.catalog, now) if self.catalog is not None else None

    @property
    def clock_off_s(self) -> float:
        """Seconds by which the store, whose time counts, is ahead of this host's clock."""
        return self.clock.off_s if isinstance(self.clock, StoreClock) else 0.0

    @property
    def offers(self) -> Catalog | None:
        """The catalog to choose from; None while there is none, or only a stale one."""
        return None if self.stale else self.catalog

    def use_keys(self, keys: tuple[Key, ...]) -> None:
        """From now on the first signs and all verify."""
        self.keys = keys
        self.signer, self.plans = Signer(keys), Sealer(keys)

    def visitor_digests(self, visitor: str, now: int) -> tuple[str, ...]:
        """What stands for a visitor in the store, the newest first; none while the salt is not known."""
        return digests(visitor, self.frequencies.salts.alive(now), self.keys) if self.frequencies is not None else ()

    def network_digest(self, network: str) -> str:
        """What stands for a client of the API without a key: keyed, seconds in the store."""
        key = self.keys[0].secret
        return hashlib.blake2b(network.encode(), digest_size=12, key=key, person=b"adserve-api").hexdigest()

    def client_digest(self, client: str, creative: int, day: int) -> str:
        """What stands for a client in the click rate rule: keyed, salted by the day, 60 s in the store."""
        text = f"{client}|{creative}|{day}".encode()
        return hashlib.blake2b(text, digest_size=12, key=self.keys[0].secret, person=b"adserve-rate").hexdigest()
