"""Settings: flags override the environment, the environment overrides `adserve.toml`.

Everything that is wrong is reported at once, with the name of each setting and what it takes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from adserve.core.address import parse_address
from adserve.core.traffic import Network
from adserve.errors import SettingsError
from adserve.sources import ALL, HANDED, gather

SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "redis+sentinel")
DEFAULT = "default"
MIN_SECRET = 32
MIN_ADMIN_KEY = 24
MAX_RATE = 1_000_000
PREFIX = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")
"""Braces would make a hash tag, `*?[]` a pattern, and blanks are lost in every tool."""


class Secret(str):
    """Text that does not print."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<secret>"


def _store_url(text: str) -> Secret:
    scheme = text.partition("://")[0]
    if "://" not in text or scheme not in SCHEMES:
        raise ValueError(f"takes a URL that begins with one of {', '.join(s + '://' for s in SCHEMES)}")
    if scheme in ("redis+cluster", "redis+sentinel"):
        parse_address(text)
        return Secret(text)
    try:
        urlsplit(text).port  # noqa: B018 - raises when the port is no port
    except ValueError:
        raise ValueError("has a host or port that is none") from None
    return Secret(text)


def _number(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text[:12]) <= high):
            raise ValueError(f"takes a whole number from {low} to {high}")
        return int(text)

    return parse


def _public_url(text: str) -> str:
    parts = urlsplit(text)
    bad = (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    )
    if bad or not text.isascii() or any(c in text for c in "\"'<>\\ \t\r\n"):
        raise ValueError("takes an address like https://serve.example, without query or credentials")
    try:
        parts.port  # noqa: B018 - raises when the port is no port
    except ValueError:
        raise ValueError("has a port that is none") from None
    return text.rstrip("/")


def _secret(text: str) -> Secret:
    if len(text.encode()) < MIN_SECRET:
        raise ValueError(f"takes at least {MIN_SECRET} bytes; make one with `openssl rand -hex 32`")
    if len(set(text)) < 8 or "example" in text.lower() or "changeme" in text.lower():
        raise ValueError("looks like a sample; make one with `openssl rand -hex 32`")
    return Secret(text)


def _admin_key(text: str) -> Secret:
    if len(text) < MIN_ADMIN_KEY or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"takes at least {MIN_ADMIN_KEY} printable ASCII characters without blanks")
    return Secret(text)


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError("takes addresses and networks, comma-separated, as 10.0.0.1,192.0.2.0/24") from None


def _host(text: str) -> str:
    if not text.isprintable() or not 0 < len(text) <= 253 or any(c.isspace() or c in "/@\\" for c in text):
        raise ValueError("takes an address or host name to listen on, as 127.0.0.1 or 0.0.0.0")
    try:
        if ":" in text:
            IPv6Address(text)
        elif not text.strip("0123456789."):
            IPv4Address(text)
    except ValueError:
        raise ValueError(f"{text} is no address: write it as 127.0.0.1, or as ::1 without brackets") from None
    return text


def _prefix(text: str) -> str:
    if not PREFIX.fullmatch(text):
        raise ValueError("takes 1 to 64 of letters, digits and _ . : / -, as adserve:")
    return text


def _header(text: str) -> str:
    if not text.replace("-", "").isalnum() or not text.isascii() or len(text) > 64:
        raise ValueError("takes the name of a header, as CF-IPCountry")
    return text.lower()


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"takes {', '.join(choices[:-1])} or {choices[-1]}")
        return text

    return parse


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its field, variable, default as text (None: unset), parser, and what it is for."""

    name: str
    default: str | None
    parse: Callable[[str], Any]
    help: str

    @property
    def env(self) -> str:
        return ALL + self.name.upper()


SETTINGS: tuple[Setting, ...] = (
    Setting("redis_url", None, _store_url, "the store; unset: an embedded Valkey in the data dir"),
    Setting("data_dir", "./adserve-data", Path, "where the embedded store, secret and media cache live"),
    Setting("host", "127.0.0.1", _host, "address to listen on"),
    Setting("port", "8000", _number(1, 65535), "port to listen on"),
    Setting("workers", "1", _number(1, 256), "number of serving processes"),
    Setting("public_url", None, _public_url, "what snippets link to"),
    Setting("secret", None, _secret, "signs tokens; unset: made once, kept in the data dir"),
    Setting("secret_file", None, Path, "file with one key a line: the first signs, all verify"),
    Setting("admin_key", None, _admin_key, "a bootstrap API key with the admin role"),
    Setting("trusted_proxies", "", _networks, "proxies whose X-Forwarded-For is believed"),
    Setting("country_header", None, _header, "header with the country, set by a trusted proxy"),
    Setting("key_prefix", "adserve:", _prefix, "what every key in the store begins with"),
    Setting("embedded_sync", "second", _one_of("second", "always"), "when the embedded store's log reaches the disk"),
    Setting("unsafe_store", "0", _number(0, 1), "1 counts on a store that can lose what it has answered"),
    Setting("impression_lifetime_s", "600", _number(1, 86_400), "seconds in which an impression is in time"),
    Setting("view_lifetime_s", "3600", _number(1, 86_400), "seconds in which a view is in time"),
    Setting("click_lifetime_s", "86400", _number(1, 604_800), "seconds in which a click is in time"),
    Setting("allowance_s", "60", _number(5, 600), "seconds for which a worker takes what goals and caps allow"),
    Setting("keep_quarters_days", "35", _number(3, 3650), "days for which quarter-hours are kept"),
    Setting("pairs_days", "30", _number(1, 400), "days for which a keyed pair keeps what it got"),
    Setting("pairs_an_hour", "20000", _number(0, 10_000_000), "new keyed pairs that are remembered an hour of a site"),
    Setting("stale_limit_s", "3600", _number(0, 604_800), "seconds a worker serves its copy without the store"),
    Setting("max_upload_bytes", "5000000", _number(1000, 50_000_000), "largest file that is taken"),
    Setting("spool_max_bytes", "256000000", _number(0, 100_000_000_000), "bytes that the spool may hold; 0: none"),
    Setting("api_rate", "200", _number(0, MAX_RATE), "calls a second of one API key in the long run; 0: any number"),
    Setting("api_burst", "2000", _number(1, MAX_RATE), "calls of one API key at once"),
    Setting("api_rate_without_key", "20", _number(0, MAX_RATE), "the same of one network without a valid key"),
    Setting("api_burst_without_key", "500", _number(1, MAX_RATE), "calls at once of one network without a valid key"),
    Setting("access_log", "0", _number(0, 1), "1 logs every request: method, path, status; no address, no query"),
    Setting("log_format", "auto", _one_of("auto", "json", "text"), "how log lines look; auto: text on a terminal"),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a start, parsed. Secrets do not print."""

    redis_url: Secret | None
    data_dir: Path
    host: str
    port: int
    workers: int
    public_url: str | None
    secret: Secret | None
    secret_file: Path | None
    admin_key: Secret | None
    trusted_proxies: tuple[Network, ...]
    country_header: str | None
    key_prefix: str
    embedded_sync: str
    unsafe_store: int
    impression_lifetime_s: int
    view_lifetime_s: int
    click_lifetime_s: int
    allowance_s: int
    keep_quarters_days: int
    pairs_days: int
    pairs_an_hour: int
    stale_limit_s: int
    max_upload_bytes: int
    spool_max_bytes: int
    api_rate: int
    api_burst: int
    api_rate_without_key: int
    api_burst_without_key: int
    access_log: int
    log_format: str
    texts: Mapping[str, str] = field(repr=False)
    """What was set, as text, by variable; where it was left out the default holds."""
    sources: Mapping[str, str] = field(repr=False)
    """Where each comes from, by variable: `flag`, `environment`, the path of the file, or `default`."""

    @property
    def own_origin(self) -> str:
        """What this service is called where it runs."""
        anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - these are what is replaced
        host = anywhere.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def origin(self) -> str:
        """What links begin with that are handed to people."""
        return self.public_url or self.own_origin

    def environment(self) -> dict[str, str]:
        """The same settings as an environment, for a process started from this one, which hears their sources too."""
        return {**self.texts, HANDED: json.dumps({name: self.sources[name] for name in self.texts})}


def load(
    flags: Mapping[str, Any], environment: Mapping[str, str], file: Path = Path("adserve.toml"), *, source: str = "flag"
) -> Settings:
    """The settings of this start. SettingsError with everything that is wrong, in which flags are called `source`."""
    given, problems = gather({one.env: one.name for one in SETTINGS}, flags, environment, file, called=source)
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        text, said = given.get(setting.name, (setting.default, DEFAULT))
        if text is None:
            values[setting.name] = None
            continue
        try:
            values[setting.name] = setting.parse(text)
        except ValueError as problem:
            problems.append(f"{setting.env} ({said}): {problem}")
    if "secret" in given and "secret_file" in given:
        problems.append("ADSERVE_SECRET and ADSERVE_SECRET_FILE are both set: keep one")
    if values["secret_file"] is not None:
        try:
            read_keys(values["secret_file"])
        except SettingsError as problem:
            problems += [f"ADSERVE_SECRET_FILE: {one}" for one in problem.problems]
    if "redis_url" not in given and (reason := _unusable(values["data_dir"])):
        problems.append(f"ADSERVE_DATA_DIR: {values['data_dir']} cannot be used: {reason}")
    if problems:
        raise SettingsError(problems)
    texts = {setting.env: given[setting.name].text for setting in SETTINGS if setting.name in given}
    sources = {setting.env: given[setting.name].source if setting.name in given else DEFAULT for setting in SETTINGS}
    return Settings(**{setting.name: values[setting.name] for setting in SETTINGS}, texts=texts, sources=sources)


def _unusable(folder: Path) -> str | None:
    """Why nothing could be kept in a folder that may not be there yet, as far as looking tells."""
    try:
        place = next((one for one in (folder, *folder.parents) if one.exists()), Path())
        if not place.is_dir():
            return f"{place} is no directory; name another with --data-dir"
        if not os.access(place, os.W_OK | os.X_OK):
            return f"{place} is not writable; give it to this user, or name another with --data-dir"
    except OSError as problem:
        return f"{problem.strerror}; name another with --data-dir"
    return None


def read_keys(path: Path) -> tuple[Secret, ...]:
    """The keys of a secret file, one a line. SettingsError with everything that is wrong in it."""
    try:
        if not path.is_file():  # reading a pipe would wait
            raise SettingsError([f"{path} is no file"])
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeError) as problem:
        raise SettingsError([f"{path} cannot be read: {problem}"]) from None
    keys: list[Secret] = []
    problems: list[str] = [] if lines else [f"{path} holds no key: one a line, at least {MIN_SECRET} bytes each"]
    for number, line in enumerate(lines, 1):
        try:
            keys.append(_secret(line))
        except ValueError as problem:
            problems.append(f"{path}, line {number}: {problem}")
    if problems:
        raise SettingsError(problems)
    return tuple(keys)
