"""What every process opens, be it a worker or a command: the store, and the management services on it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from adserve import __version__
from adserve.errors import SettingsError
from adserve.flows.services import Services
from adserve.in_force import in_force
from adserve.settings import Settings
from adserve.store.accounts import Accounts
from adserve.store.catalog import CatalogStore
from adserve.store.client import REPLY_ERRORS, Redis, connect
from adserve.store.clock import StoreClock
from adserve.store.embedded import EmbeddedStore
from adserve.store.keys import Keys
from adserve.store.media import MediaStore
from adserve.store.schema import check


@contextmanager
def store_of(settings: Settings) -> Iterator[tuple[str, EmbeddedStore | None]]:
    """`(url, embedded store or None)`: the configured store, or an embedded one for as long as needed."""
    if settings.redis_url is not None:
        yield settings.redis_url, None
        return
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise SettingsError([f"ADSERVE_DATA_DIR: {settings.data_dir} cannot be used: {problem.strerror}"]) from None
    with EmbeddedStore.start(settings.data_dir, fsync=settings.embedded_sync) as store:  # type: ignore[arg-type]
        yield store.url, store


@asynccontextmanager
async def services_only(settings: Settings, store_url: str) -> AsyncIterator[Services]:
    """The management side alone, for the command line. Running workers see changes by themselves."""
    client, keys = connect(store_url), Keys(settings.key_prefix)

    async def refresh() -> None:
        return None

    try:
        with contextlib.suppress(*REPLY_ERRORS):  # the work itself will tell
            await check(client, keys, __version__, migrate=False)
        yield services_of(settings, client, keys, StoreClock(), refresh)
    finally:
        await client.aclose()


def services_of(
    settings: Settings, client: Redis, keys: Keys, clock: Callable[[], float], refresh: Callable[[], Awaitable[None]]
) -> Services:
    """The management services on an open connection; `refresh` is called when one of them changed the catalog."""
    return Services(
        client,
        keys,
        CatalogStore(client, keys, clock),
        Accounts(client, keys, settings.admin_key, clock),
        MediaStore(client, keys, settings.data_dir / "media"),
        clock,
        refresh,
        settings.click_lifetime_s,
        settings.keep_quarters_days * 86_400,
        settings.max_upload_bytes,
        tuple(in_force(settings)),
    )
