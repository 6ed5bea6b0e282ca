"""Every check in the order in which a start would stumble over them. Nothing is changed, nothing started."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from adserve.doctor.files import check_data_dir, check_disk, check_secret_file, check_spool, free_bytes
from adserve.doctor.findings import Finding, ok, problem, warning
from adserve.doctor.machine import check_binary, check_files, check_versions, check_workers
from adserve.doctor.network import check_port, check_proxies, check_public_url
from adserve.doctor.stores import Clock, check_store, owner_of
from adserve.errors import SettingsError
from adserve.settings import Settings, load
from adserve.signing import secret_path
from adserve.stopping import run


def diagnose(
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    *,
    clock: Clock = time.time,
    free: Callable[[Path], int] = free_bytes,
) -> list[Finding]:
    """What an operator should know before a start, or beside a running service. `clock`: epoch seconds of
    this machine; `free`: bytes left where a path lies."""
    try:
        settings = load(flags, environment)
    except SettingsError as failed:
        bad = [problem("settings", one, "mend it; the other checks need all settings") for one in failed.problems]
        return [*bad, *check_files(0), *check_versions()]
    found: list[Finding] = [*_check_settings(settings)]
    binary_findings, binary = check_binary(settings)
    found += check_data_dir(settings)
    found += check_secret_file(secret_path(settings))
    found += check_disk(settings, free)
    found += binary_findings
    found += run(check_store(settings, clock, binary))
    found += check_spool(settings, clock())
    found += check_port(settings)
    found += check_public_url(settings)
    found += check_proxies(settings)
    found += check_files(owner_of(settings))
    found += check_workers(settings)
    found += check_versions()
    return found


def _check_settings(settings: Settings) -> Iterable[Finding]:
    if settings.country_header is not None and not settings.trusted_proxies:
        detail = "ADSERVE_COUNTRY_HEADER has no effect: it is believed from trusted proxies alone, and none is named"
        yield warning("settings", detail, "name them in ADSERVE_TRUSTED_PROXIES")
    if settings.admin_key is None:
        yield ok("settings", "all can be used; there is no ADSERVE_ADMIN_KEY: keys come from `adserve keys create`")
    else:
        yield ok("settings", "all can be used")
