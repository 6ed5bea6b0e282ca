"""Invalid traffic: which events are set aside, and for which one reason.

Rules are data with a version (`traffic.toml`), read once at start. Order: prefetch, bot, internal.
`rate` and `cap` need the store and are judged by its script. Impressions are never set aside by
address alone, save for networks that the operator named as internal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_MOBILE = re.compile(r"iphone|ipod|android.*mobile|windows phone|mobile.*firefox", re.IGNORECASE)
_TABLET = re.compile(r"ipad|tablet|android(?!.*mobile)|silk/", re.IGNORECASE)


_WITH_PORT = re.compile(r"\[([^\[\]]*)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")
"""How some proxies name a client."""


def address(text: str) -> Address | None:
    """An address from text, with a port or without, IPv4-mapped IPv6 as IPv4; None when it is none."""
    text = text.strip()
    if match := _WITH_PORT.fullmatch(text):
        text = match[1] or match[2] or ""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def is_trusted(peer: str, trusted: tuple[Network, ...]) -> bool:
    """Whether the address at the other end of a connection is one of the trusted proxies."""
    found = address(peer)
    return found is not None and any(found in network for network in trusted)


def client_address(peer: str, forwarded: str, trusted: tuple[Network, ...], *, vouched: bool = False) -> Address | None:
    """The client behind trusted proxies: the rightmost address in X-Forwarded-For that is no such
    proxy. The header is believed only when the peer itself is one, or `vouched` for."""
    found = address(peer)
    if not vouched and (found is None or not any(found in network for network in trusted)):
        return found
    for hop in reversed(forwarded.split(",")[-20:]):
        one = address(hop)
        if one is None:
            return found
        found = one
        if not any(one in network for network in trusted):
            return found
    return found


def client_network(client: Address | None) -> str:
    """What the click rate rule calls one client: an IPv4 address or an IPv6 /64."""
    if isinstance(client, IPv6Address):
        return str(ip_network((client, 64), strict=False))
    return str(client)


def device_of(user_agent: str, mobile_hint: str, platform_hint: str) -> int:
    """Index into `core.model.DEVICES`: Client Hints first, then the user agent."""
    if mobile_hint == "?1":
        return 2
    # whatever else a hint says stays out of the cache: 20,000 of 30 KB would be kept
    return _device_of(user_agent, mobile_hint == "?0" or platform_hint != "")


@lru_cache(maxsize=20_000)
def _device_of(user_agent: str, hinted: bool) -> int:
    if _TABLET.search(user_agent):
        return 3
    if _MOBILE.search(user_agent):
        return 2
    return 1 if hinted or user_agent else 0


class Agent(NamedTuple):
    """What a client says that it is. `robot`: a declared one, or no browser; `declared`: a robot that names itself."""

    device: int
    robot: bool
    declared: bool


class TrafficRules:
    """The compiled rules. `crawler` says whether an agent is in a list of known robots."""

    def __init__(self, rules: Mapping[str, Any], crawler: Callable[[str], bool]) -> None:
        self.version = str(rules["version"])
        bot = rules["bot"]
        self._exact = {text.lower() for text in bot["exact"]}
        self._contains = tuple(text.lower() for text in bot["contains"])
        self._declared = tuple(text.lower() for text in bot["declared"])
        self._prefetch = [
            (name.lower().encode(), tuple(word.encode() for word in words))
            for name, words in rules["prefetch"]["headers"].items()
        ]
        self._telling = frozenset(name for name, _ in self._prefetch)
        self.internal = tuple(ip_network(text) for text in rules["internal"]["networks"])
        proxies = rules.get("pairs", {"exact": [], "contains": []})  # a copy of an older file has none
        self._proxies = {text.lower() for text in proxies["exact"]}
        self._proxies_contain = tuple(text.lower() for text in proxies["contains"])
        self._crawler = crawler
        self.agent = lru_cache(maxsize=20_000)(self._agent)

    def _agent(self, user_agent: bytes, mobile_hint: bytes = b"", platform_hint: bytes = b"") -> Agent:
        """The agent of a request's headers."""
        text = user_agent.decode("latin-1")
        name = text.strip().lower()
        declared = any(part in name for part in self._declared)
        robot = declared or name in self._exact or any(part in name for part in self._contains) or self._crawler(text)
        device = device_of(text, mobile_hint.decode("latin-1"), platform_hint.decode("latin-1"))
        return Agent(device, robot, declared)

    def fetches_for_a_reader(self, user_agent: bytes) -> bool:
        """Whether a client is an image proxy of a mail service: no robot where a keyed pair's picture is asked for."""
        name = user_agent.decode("latin-1").strip().lower()
        return name in self._proxies or any(part in name for part in self._proxies_contain)

    def is_prefetch(self, headers: Mapping[bytes, bytes]) -> bool:
        for name, words in self._prefetch:
            if name in headers:
                value = headers[name].lower()
                if any(word in value for word in words):
                    return True
        return False

    def judge(
        self,
        headers: Mapping[bytes, bytes],
        agent: Agent,
        client: Address | None,
        *,
        clients: str,
        asked_not_to_count: bool,
    ) -> str | None:
        """The reason to set an event aside, or None. `headers` has lower-case names; `client` matters only where
        there are `internal` networks."""
        if not self._telling.isdisjoint(headers) and self.is_prefetch(headers):
            return "prefetch"
        if agent.declared if clients == "app" else agent.robot:
            return "bot"
        if asked_not_to_count or (client is not None and any(client in network for network in self.internal)):
            return "internal"
        return None
