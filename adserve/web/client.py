"""What a delivery request says of its client: headers, address, device, the origin links should point to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace
from starlette.types import Scope

from adserve.core.access import Account
from adserve.core.model import DEVICES
from adserve.core.plan import PREFIX, BadPlan, Plan
from adserve.core.seen import read
from adserve.core.traffic import Address, Agent, client_address
from adserve.flows.frequency import NOBODY, PRIVATE, Who
from adserve.flows.serve import Reader, request_of
from adserve.flows.worker import Worker
from adserve.web.bearer import bearer
from adserve.web.context import LONGEST_HEADER, context_of, country_of
from adserve.web.parameters import Query, text
from adserve.web.protocol import merged

MOST_PLAIN, MOST_ALIKE = 2_000, 8
"""Readers that are remembered of a call without a query, and of each other query that is."""
_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?\Z")
_PAGE_VIEW = re.compile(r"[A-Za-z0-9_-]{8,64}\Z")
_VISITOR = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_WIDTHS = re.compile(r"[0-9]{1,5}(?:,[0-9]{1,5})*\Z")


class Ask(Struct, frozen=True, gc=False):
    """A delivery request, however it came. Header names are lower-case, several lines of one name are one; `peer` is
    the address at the other end of the connection, or nothing; `caller` is whose key came with it, if it is one."""

    method: str
    query: bytes
    headers: Mapping[bytes, bytes]
    peer: str
    caller: Account | None = None

    @classmethod
    def of(cls, scope: Scope, known: Callable[[str], Account | None]) -> Ask:
        client, secret = scope.get("client"), bearer(scope["headers"])
        caller = known(secret) if secret is not None else None
        peer = client[0] if client else ""
        return cls(scope["method"], scope["query_string"], merged(scope["headers"]), peer, caller)


def path_below(scope: Scope) -> str:
    """The path of a request, below that of the application in which the service may be mounted."""
    root, path = scope.get("root_path", ""), scope["path"]
    return path[len(root) :] if root and path.startswith(f"{root}/") else str(path)


def is_loopback(host: str) -> bool:
    """Whether a host to listen on is reached from this machine only."""
    return host == "::1" or _LOOPBACK.match(host) is not None


@lru_cache(maxsize=64)
def _own_origin(host: bytes) -> str | None:
    text = host.decode("latin-1")
    return f"http://{text}" if _LOOPBACK.match(text) else None


def client_of(worker: Worker, ask: Ask) -> Address | None:
    vouched = ask.caller is not None and ask.caller.speaks_for_browsers
    forwarded = ask.headers.get(b"x-forwarded-for", b"") if vouched or worker.trusted else b""
    return client_address(ask.peer, forwarded.decode("latin-1"), worker.trusted, vouched=vouched)


def agent_of(worker: Worker, ask: Ask) -> Agent:
    headers = ask.headers
    return worker.rules.agent(  # remembered: what is long costs memory
        headers.get(b"user-agent", b"")[:512],
        headers.get(b"sec-ch-ua-mobile", b"")[:16],
        headers.get(b"sec-ch-ua-platform", b"")[:64],
    )


def asks_not_to_count(query: Query) -> bool:
    return b"internal" in query and text(query, b"internal") == "1"


def verdict_of(worker: Worker, ask: Ask, agent: Agent, query: Query, *, clients: str) -> str | None:
    rules = worker.rules
    client = client_of(worker, ask) if rules.internal else None
    return rules.judge(ask.headers, agent, client, clients=clients, asked_not_to_count=asks_not_to_count(query))


def base_url(worker: Worker, ask: Ask) -> str:
    """The public URL from the settings; without one the request's own origin, for loopback hosts only:
    a Host header from outside must never decide where links point."""
    if worker.public_url is not None:
        return worker.public_url
    return _own_origin(ask.headers.get(b"host", b"")) or worker.fallback_url


def is_private(ask: Ask) -> bool:
    """Whether a reader asks by `Sec-GPC: 1` that nothing is kept of it."""
    sent = ask.headers.get(b"sec-gpc")
    return sent is not None and sent.strip(b" \t") == b"1"


def reader_of(worker: Worker, ask: Ask, query: Query, *, clients: str) -> Reader:
    """The reader of a delivery request. A malformed parameter is ignored and counted."""
    agent = agent_of(worker, ask)
    verdict = verdict_of(worker, ask, agent, query, clients=clients)
    private = is_private(ask)
    languages = ask.headers.get(b"accept-language", b"")[:LONGEST_HEADER]
    country = proxied_country(worker, ask) if worker.country_header else None
    base = base_url(worker, ask)
    if query.of_one or ask.caller is not None:
        return _reader(worker, ask, query, agent, verdict, country, languages, base, private=private)[0]
    if query.readers is None:  # what is asked once may never be asked again, and strangers ask a lot
        query.readers = {} if query.asked else None
        query.asked = True
    key = (agent, verdict, country, languages, base, private)
    found = query.readers.get(key) if query.readers else None
    if found is None:
        found = _reader(worker, ask, query, agent, verdict, country, languages, base, private=private)
        if query.readers is not None:
            if len(query.readers) >= (MOST_ALIKE if query else MOST_PLAIN):
                query.readers.clear()
            query.readers[key] = found
    else:
        worker.malformed += found[1]
    return found[0]


def _reader(
    worker: Worker,
    ask: Ask,
    query: Query,
    agent: Agent,
    verdict: str | None,
    country: str | None,
    languages: bytes,
    base: str,
    *,
    private: bool,
) -> tuple[Reader, int]:
    """A reader, and how many of its parameters are malformed; they are counted already."""
    before, device = worker.malformed, agent.device
    width: int | None = None
    page_view: Plan | str | None = None
    if (asked := text(query, b"width")) is not None:
        if _WIDTHS.match(asked):
            width = max(map(int, asked.split(",")))
        else:
            worker.malformed += 1
    if (asked := text(query, b"device")) is not None:
        if asked in DEVICES[1:]:
            device = DEVICES.index(asked)
        else:
            worker.malformed += 1
    if b"pv" in query:
        page_view = page_view_of(worker, query)
    if ask.caller is not None and (asked := text(query, b"country")) is not None:
        named = country_of(asked)
        worker.malformed += named is None
        country = named or country
    who = PRIVATE if private else who_of(worker, query)
    context, malformed = context_of(query, device, country, languages)
    worker.malformed += malformed
    if isinstance(page_view, Plan) and page_view.labels:  # what any call says of the page holds for all later ones
        context = replace(context, labels=context.labels.union(page_view.labels))
    reader = Reader(verdict, device, width, page_view, base, context, who, uncounted=asks_not_to_count(query))
    if not query.of_one:
        reader = replace(reader, asks=request_of(reader))
    return reader, worker.malformed - before


def proxied_country(worker: Worker, ask: Ask) -> str | None:
    """The country that a trusted proxy found, where one is to be asked."""
    sent = ask.headers.get(worker.country_header) if worker.country_header else None
    return country_of(sent.decode("latin-1").strip()) if sent is not None and worker.is_proxy(ask.peer) else None


def page_view_of(worker: Worker, query: Query) -> Plan | str | None:
    """The plan that an earlier call handed out, or an id of the caller's own making. What is neither, or a plan that is
    altered or too old, is ignored and counted: the page starts anew."""
    given = text(query, b"pv")
    if given is not None and _PAGE_VIEW.match(given):
        return given
    if given is not None and given.startswith(PREFIX):
        try:
            return worker.plans.open(given, int(worker.clock()))
        except BadPlan:
            pass
    worker.malformed += given != ""
    return None


def widths_of(worker: Worker, query: Query, slots: Sequence[int | None]) -> dict[int, int] | None:
    """The width of each slot of a page call that says one for each, by the slots' serials; of several instances of a
    slot the narrowest. None for one that says a single width; as many as there are slots, or they are malformed."""
    said = text(query, b"width")
    if said is None or "," not in said or not _WIDTHS.match(said):
        return None
    widths = [int(one) for one in said.split(",")]
    if len(widths) != len(slots):
        worker.malformed += 1
        return None
    found: dict[int, int] = {}
    for serial, width in zip(slots, widths, strict=True):
        if serial is not None:
            found[serial] = min(width, found.get(serial, width))
    return found


def who_of(worker: Worker, query: Query) -> Who:
    """What a call says of its reader; an id goes before what the device has seen."""
    visitor = text(query, b"visitor")
    if visitor is not None and _VISITOR.match(visitor):
        return Who(visitor)
    worker.malformed += bool(visitor) or (visitor is None and b"visitor" in query)
    if b"seen" not in query:
        return NOBODY
    if not query[b"seen"]:
        return Who(seen={})
    kept = read(text(query, b"seen") or "", worker.keys)
    worker.malformed += kept is None
    return Who(seen=kept or {}, known=kept is not None)
