"""What one worker has open, handed to every flow. `adserve.wiring` alone fills it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adserve.core.access import Account
from adserve.core.in_force import InForce
from adserve.core.live import Seen
from adserve.flows.passwords import Hashing
from adserve.store.limits import Limiter
from adserve.store.once import Once
from adserve.store.questions import Questions
from adserve.store.revisions import RevisionStore
from adserve.store.sessions import Sessions
from adserve.store.shares import Shares
from adserve.store.users import Users

if TYPE_CHECKING:
    from adserve.store.accounts import Accounts
    from adserve.store.catalog import CatalogStore
    from adserve.store.client import Redis
    from adserve.store.keys import Keys
    from adserve.store.media import MediaStore

Explain = Callable[[Account, Mapping[str, str]], Awaitable[dict[str, Any] | None]]
"""See `flows.explain.explain_here`."""


Recall = Callable[[str | None, int], Awaitable[tuple[list[Seen], frozenset[str]]]]
"""See `flows.live.recent_here`."""


@dataclass(slots=True)
class Services:
    """The management side: everything here may wait for the store."""

    client: Redis
    """For management and reports: timeouts of seconds, never used on the hot path."""
    keys: Keys
    catalog: CatalogStore
    accounts: Accounts
    media: MediaStore
    clock: Callable[[], float]
    """Epoch seconds."""
    refresh: Callable[[], Awaitable[None]]
    """Loads what changed into this worker's compiled catalog at once (others poll)."""
    click_lifetime_s: int = 86_400
    keep_buckets_s: int = 35 * 86_400
    max_upload_bytes: int = 5_000_000
    settings: tuple[InForce, ...] = ()
    """What this process runs with, nothing secret in it."""
    explain: Explain | None = None
    """Explains by the serving side of this process; the command line has none."""
    shares: Shares = field(init=False)
    """Links to reports of campaigns."""
    recent: Recall | None = None
    """Tells the last decisions of this process; the command line has none."""
    secrets: Callable[[], Sequence[bytes]] = tuple
    """The signing secrets of this process, the one that signs first; the command line has none."""
    users: Users = field(init=False)
    sessions: Sessions = field(init=False)
    hashing: Hashing = field(default_factory=Hashing)
    """Of passwords."""
    limiter: Limiter = field(init=False)
    """Of attempts to sign in."""
    once: Once = field(init=False)
    """What was sent with an Idempotency-Key."""
    questions: Questions = field(init=False)
    """To and from other workers."""
    revisions: RevisionStore = field(init=False)
    """What creatives were before."""

    def __post_init__(self) -> None:
        self.users = Users(self.client, self.keys, self.clock)
        self.sessions = Sessions(self.client, self.keys, self.clock)
        self.limiter = Limiter(self.client, self.keys, self.clock, lambda: True)
        self.once = Once(self.client, self.keys, self.clock)
        self.shares = Shares(self.client, self.keys, self.clock)
        self.questions = Questions(self.client, self.keys)
        self.revisions = RevisionStore(self.client, self.keys)
