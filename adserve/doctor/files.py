"""What lies in the data dir: whose it is, who may read it, the room left, the spool. Nothing is written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from adserve.doctor.findings import Finding, many, ok, problem, warning
from adserve.settings import Settings
from adserve.store.spool import REFUSED, lying

LEAST_BYTES = 100_000_000
"""Less free than this is an outage that has begun."""
NEARLY = 0.8
LATE_S = 60
"""A running service replays within a second or two."""


def free_bytes(path: Path) -> int:
    return shutil.disk_usage(path).free


def check_data_dir(settings: Settings) -> Iterator[Finding]:
    """There, ours, closed to others."""
    folder = settings.data_dir
    try:
        seen = folder.stat()
    except FileNotFoundError:
        yield ok("data_dir", f"{folder} is not there yet: the first start makes it")
        return
    except OSError as failed:
        yield problem("data_dir", f"{folder}: {failed.strerror}", "let this user reach it, or name another: --data-dir")
        return
    if not folder.is_dir():
        yield problem("data_dir", f"{folder} is no directory", "name another with --data-dir")
        return
    faults = 0
    if seen.st_uid != os.geteuid():
        remedy = "run this as the user of the service, or give it the directory (chown -R)"
        report = warning if os.geteuid() == 0 else problem  # root may all the same
        yield report("data_dir", f"{folder} belongs to user {seen.st_uid}, not to {os.geteuid()}", remedy)
        faults += 1
    elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield problem("data_dir", f"{folder} is not writable", f"chmod u+rwx {folder}")
        faults += 1
    if seen.st_mode & 0o022:
        yield problem("data_dir", f"others may write into {folder} ({_mode(seen)})", f"chmod 700 {folder}")
    elif seen.st_mode & 0o077:
        yield warning("data_dir", f"others may read {folder} ({_mode(seen)})", f"chmod 700 {folder}")
    elif not faults:
        yield ok("data_dir", f"{folder.resolve()} ({_mode(seen)})")


def check_secret_file(path: Path | None) -> Iterator[Finding]:
    """Closed to others; what is in it is looked at elsewhere."""
    if path is None:
        yield ok("secret", "set by ADSERVE_SECRET")
        return
    try:
        seen = path.stat()
    except FileNotFoundError:
        yield ok("secret", f"{path} is not there yet: the first start makes it")
    except OSError as failed:
        yield problem("secret", f"{path}: {failed.strerror}", "let this user read it")
    else:
        if seen.st_mode & 0o077:
            detail = f"others may use {path} ({_mode(seen)}): whoever reads it can forge clicks"
            yield problem("secret", detail, f"chmod 600 {path}")
        elif not os.access(path, os.R_OK):
            yield problem("secret", f"{path} cannot be read", "give it to the user of the service (chown)")
        else:
            yield ok("secret", f"{path} ({_mode(seen)})")


def check_disk(settings: Settings, free: Callable[[Path], int]) -> Iterator[Finding]:
    """Room for the spool, and for the log that the embedded store writes anew before it drops the old one."""
    place = next((one for one in (settings.data_dir, *settings.data_dir.parents) if one.exists()), Path())
    try:
        left, log = free(place), _bytes_below(settings.data_dir / "store")
        need = log + max(0, settings.spool_max_bytes - _bytes_below(settings.data_dir / "spool"))
    except OSError as failed:
        yield problem("disk", f"{place}: {failed.strerror}", "let this user reach it")
        return
    detail = f"{_megabytes(left)} free below {place.resolve()}"
    if left < LEAST_BYTES:
        yield problem("disk", detail, "make room: a full disk stops counting")
    elif left < need:
        wants = f"the spool and the store's log may want {_megabytes(need)}"
        yield warning("disk", f"{detail}; {wants}", "make room, or lower ADSERVE_SPOOL_MAX_BYTES")
    else:
        yield ok("disk", detail)


def check_spool(settings: Settings, now: float) -> Iterator[Finding]:
    """What was answered and is not counted yet, and what never will be."""
    folder = settings.data_dir / "spool"
    try:
        found, used = lying(folder, settings.key_prefix), _bytes_below(folder)
        refused = _lines(folder / REFUSED)
    except OSError as failed:
        yield problem("spool", f"{folder}: {failed.strerror}", "give it to the user of the service (chown -R)")
        return
    faults = 0
    if refused:
        detail = f"{many(refused, 'record')} in {folder / REFUSED} can never be counted; each line says why"
        yield problem("spool", detail, "mend the keys that they name, keep the file for the record and move it away")
        faults += 1
    if settings.spool_max_bytes and used >= NEARLY * settings.spool_max_bytes:
        detail = f"{_megabytes(used)} of {_megabytes(settings.spool_max_bytes)} are used"
        report = problem if used >= settings.spool_max_bytes else warning
        yield report("spool", detail, "bring the store back; or raise ADSERVE_SPOOL_MAX_BYTES, if the disk has room")
        faults += 1
    if found.others:
        detail = f"{many(found.others, 'record')} of another ADSERVE_KEY_PREFIX, or in files that this user cannot read"
        yield warning("spool", detail, "start a service with that prefix, or as the user of the files, to count them")
        faults += 1
    if found.oldest is not None and now - found.oldest > LATE_S:
        since = f"{datetime.fromtimestamp(found.oldest, UTC):%Y-%m-%dT%H:%M:%SZ}"
        detail = f"{many(found.events, 'event')} waiting since {since}"
        yield warning("spool", detail, "start the service; if it runs, see its log and the store's state above")
    elif not faults:
        yield ok("spool", f"{many(found.events, 'event')} waiting")


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*") if folder.is_dir() else ():
        try:
            total += path.lstat().st_size
        except FileNotFoundError:  # gone meanwhile
            continue
    return total


def _lines(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return sum(1 for _ in file)
    except FileNotFoundError:
        return 0


def _megabytes(count: int) -> str:
    return f"{count / 1_000_000:,.0f} MB"


def _mode(seen: os.stat_result) -> str:
    return f"{seen.st_mode & 0o777:04o}"
