"""Bodies and queries made to cost time, memory or sense: they are refused, cheaply, and nothing is left of them."""

from __future__ import annotations

import json
import re
import time
import tracemalloc
from typing import Any

import pytest
from starlette.requests import Request as HttpRequest

from adserve.core.validate import check_id
from adserve.errors import MAX_PROBLEMS, AdserveError
from adserve.flows.content import Parts
from adserve.web.api.body import MAX_FIELDS, MAX_TEXT_PART, as_form
from adserve.web.api.query import read_query
from adserve.web.parameters import MAX_PARAMETERS, parameters, text
from tests.security.places import BOUNDARY, asking, everywhere, form_request, good_request
from tests.security.promises import check, promises
from tests.security.table import BODIES, FORMS, Address, addresses
from tests.security.world import Request, World

MANY = 5_000_000
"""Bytes of a body that is as large as one may be."""
CPU_S, MEMORY_BYTES = 1.0, 64_000_000
"""What one body may take. What is linear in its bytes takes a hundredth of that."""
KIND = f"multipart/form-data; boundary={BOUNDARY}"
END = f"\r\n--{BOUNDARY}--\r\n".encode()


def part(name: str = "alt", *, head: bytes = b"", file: bool = False) -> bytes:
    """The beginning of a part, up to its content."""
    filename = '; filename="x"' if file else ""
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n'.encode() + head + b"\r\n"


def many(piece: bytes, length: int = MANY) -> bytes:
    return (piece * (length // len(piece) + 1))[:length]


NEARLY = f"\r\n--{BOUNDARY[:-1]}".encode()
BODIES_OF_FORMS: dict[str, bytes] = {
    "a long text part": part() + many(b"x") + END,
    "a long text part for a file": part("file") + many(b"x") + END,
    "10,000 text parts": (part() + b"x\r\n") * 10_000 + END,
    "one part more than there may be": b"".join(part(f"f{at}") + b"x\r\n" for at in range(MAX_FIELDS + 1)) + END,
    "1,001 files": (part("file", file=True) + b"x\r\n") * 1_001 + END,
    "two files": (part("file", file=True) + b"x\r\n") * 2 + END,
    "a preamble": many(b"\r\n") + part() + b"x",
    "a preamble of dashes": many(b"-") + part() + b"x" + END,
    "10,000 headers": part(head=b"X: y\r\n" * 10_000) + b"x" + END,
    "a long header name": part(head=b"X" * 1_000_000 + b": y\r\n") + b"x" + END,
    "a long header value": part(head=b"X: " + b"y" * 1_000_000 + b"\r\n") + b"x" + END,
    "a header of backslashes": part(head=b'X: "' + b"\\" * 1_000_000 + b'"\r\n') + b"x" + END,
    "a header without a name": f"--{BOUNDARY}\r\n: y\r\n\r\nx".encode() + END,
    "a header without an end": f"--{BOUNDARY}\r\nX".encode(),
    "no name": f"--{BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nx".encode() + END,
    "no disposition": f"--{BOUNDARY}\r\nX: y\r\n\r\nx".encode() + END,
    "a name in two parts": f"--{BOUNDARY}\r\nContent-Disposition: form-data; name*0=a\r\n\r\nx".encode() + END,
    "a part within a part": part("alt", head=f"Content-Type: {KIND}\r\n".encode()) + part() + b"x" + END[:-4],
    "no end": part() + many(b"x", 60_000),
    "lines for ever": part() + many(b"\r\n", MAX_TEXT_PART + 1) + END,
    "nearly its boundary": part() + many(NEARLY, MAX_TEXT_PART + 1) + END,
    "nothing": b"",
    "bytes that are no text": part() + b"\xff\xfe\x00" + END,
}
"""What is no form that can be taken, whatever else of it is right."""
COSTLY: dict[str, bytes] = {
    "a file of line ends": part("file", file=True) + many(b"\r\n") + END,
    "a file of carriage returns": part("file", file=True) + many(b"\r") + END,
    "a file of dashes": part("file", file=True) + many(b"-") + END,
    "a file of nearly its boundary": part("file", file=True) + many(NEARLY) + END,
    "an epilogue": part() + b"x" + END + many(b"\r\n"),
    "an epilogue of parts": part() + b"x" + END + many(part()),
}
"""What is a form as it stands, and is made to be slow."""
KINDS: dict[str, str] = {
    "no boundary": "multipart/form-data",
    "an empty boundary": "multipart/form-data; boundary=",
    "a long boundary": "multipart/form-data; boundary=" + "x" * 10_240,
    "a boundary of backslashes": 'multipart/form-data; boundary="' + "\\" * 40 + '"',
    "a boundary of quotes": 'multipart/form-data; boundary="' + '\\"' * 30 + '"',
    "two boundaries": f"{KIND}; boundary=x",
    "a boundary in another script": "multipart/form-data; boundary=\u00e9\u00e9",
    "semicolons": f"multipart/form-data{';' * 15_000} boundary=x",
    "parameters": f"multipart/form-data;{'a=b;' * 3_000} boundary=x",
    "another multipart": f"multipart/mixed; boundary={BOUNDARY}",
    "a form of a page": "application/x-www-form-urlencoded",
    **{f"text as {name}": f"{KIND}; charset={name}" for name in
       ("utf-7", "utf-16", "punycode", "idna", "unicode_escape", "zlib", "latin-1", "none", "utf-8,utf-7", '"utf-7"')},
}  # fmt: skip
"""Types of a body that is a good form, by which it is none."""
GOOD = part() + b"+ADw-" + END


def http(kind: str) -> HttpRequest:
    headers = [(b"content-type", kind.encode("utf-8"))]
    return HttpRequest({"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers})


async def taken(kind: str, body: bytes) -> Any:
    """What a form holds, or how it failed. It must take neither long nor much."""
    tracemalloc.start()
    began = time.process_time()
    try:
        found: Any = await as_form(http(kind), body)
    except AdserveError as failure:
        found = failure.code
    took_s, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took_s < CPU_S
    assert peak < MEMORY_BYTES
    return found


@pytest.mark.parametrize("what", BODIES_OF_FORMS)
async def test_a_hostile_form_is_refused(what: str) -> None:
    assert await taken(KIND, BODIES_OF_FORMS[what]) in ("bad_body", "invalid")


@pytest.mark.parametrize("what", COSTLY)
async def test_a_costly_form_costs_as_much_as_its_bytes(what: str) -> None:
    """Read once: it is what it says it is."""
    fields, data = await taken(KIND, COSTLY[what])
    assert (fields, len(data.file or b"")) in (({}, MANY), ({"alt": "x"}, 0))


@pytest.mark.parametrize("what", KINDS)
async def test_a_form_is_told_by_its_type_and_is_in_utf_8(what: str) -> None:
    """Nobody chooses how its text is read."""
    assert await taken(KINDS[what], GOOD) in ("unsupported_media", "bad_body")
    for same in (KIND, f"{KIND}; charset=utf-8", f"{KIND}; charset=UTF-8"):
        assert await taken(same, GOOD) == ({"alt": "+ADw-"}, Parts())


async def test_every_route_refuses_hostile_forms(world: World) -> None:
    """On the wire: a refusal and never a failure, whatever says how long the body is. No file is left."""
    requests: list[Request] = []
    for method, path in FORMS:
        good = good_request(world, Address(method, path, ()))
        of_type = good._replace(headers=(("Content-Type", KIND),))
        requests += [of_type._replace(body=body) for body in BODIES_OF_FORMS.values()]
        requests += [good._replace(headers=(("Content-Type", kind),), body=GOOD) for kind in KINDS.values()]
        lying = (("Content-Type", KIND), ("Content-Length", "52428800"), ("Expect", "100-continue"))
        requests += [good._replace(headers=lying, body=b"")]
        chunk = b"%x\r\n%b\r\n" % (MANY, many(b"x"))
        chunked = (("Content-Type", KIND), ("Transfer-Encoding", "chunked"))
        requests += [good._replace(headers=chunked, body=chunk + chunk)]
        nested = form_request(good, {"alt": "x"}, b"x", filename='"; name="alt')
        requests += [nested._replace(headers=(*nested.headers, ("Content-Encoding", "gzip")))]
    async with promises(world):
        for request in requests:  # one at a time: each is as large as one may be
            answer = await world.ask(request.with_key())
            check(answer, request.headers)
            assert answer.status in (400, 413, 415, 422), (request.headers, request.body[:200], answer)


URLENCODED = (
    b"a=" + b"x" * 2_000_000, b"&".join(b"a%d=1" % at for at in range(100_000)), b"a=1;status=approved", b";" * 60_000,
    b"%" * 60_000, b"%zz&%f0%28&=", b"&" * 60_000, b"weight=1&weight=2",
)  # fmt: skip


async def test_the_form_of_a_web_page_is_no_body_here(world: World) -> None:
    """Of every route that takes one: a page of another site could send it without asking."""
    requests = []
    for method, path in BODIES:
        good = good_request(world, Address(method, path, ()))
        for kind in ("application/x-www-form-urlencoded", "text/plain"):
            requests += [good._replace(headers=(("Content-Type", kind),), body=body) for body in URLENCODED]
    async with promises(world):
        for request in requests:
            answer = await world.ask(request.with_key())
            check(answer, request.target)
            assert answer.status in (413, 415), (request.method, request.target, request.body[:40], answer)


def test_a_query_costs_as_much_as_its_bytes() -> None:
    """The parameters of delivery, as many as a URL can hold: a semicolon is data, half an escape too."""
    assert text(parameters(b"a=1;device=mobile"), b"a") == "1;device=mobile"
    halves = parameters(b"a=%&b=%z&c=%4&d=%f0%28")
    assert [text(halves, name) for name in (b"a", b"b", b"c", b"d")] == ["%", "%z", "%4", None]
    for query in URLENCODED:
        began = time.process_time()
        assert len(parameters(query)) <= MAX_PARAMETERS
        assert time.process_time() - began < 0.2


async def test_an_answer_to_many_mistakes_is_short(world: World) -> None:
    """Thousands of unknown members or parameters, and half characters: the first of them are named, in less than
    what was sent."""
    body = json.dumps({f"{at:x}": 1 for at in range(5_000)}).encode()
    halves = json.dumps([f"\ud800{at}" for at in range(4_000)]).encode()
    query = "&".join(f"{at:x}" for at in range(5_000))
    async with promises(world):
        for address in addresses(world.app):
            if not address.managed or address.method == "HEAD":
                continue
            good = good_request(world, address)
            asked = [good._replace(target=asking(good, query))]
            if (address.method, address.path) in BODIES:
                asked += [good._replace(body=hostile) for hostile in (body, halves)]
            for request in asked:
                answer = await world.ask(request.with_key())
                check(answer, address)
                assert answer.status == 422, (address, answer)
                assert len(json.loads(answer.body)["errors"]) <= MAX_PROBLEMS
                assert len(answer.body) < 40_000, address


def test_a_repeated_parameter_is_told_once() -> None:
    with pytest.raises(AdserveError) as raised:
        read_query([("limit", "1")] * 10_000, {"limit": check_id})
    assert len(str(raised.value)) < 100


LONG = (
    "9" * 4_500,
    "9" * 4_500 + "x1",
    "https://a.example:" + "9" * 4_500,
    "2026-01-01T00:00:00." + "9" * 4_500,
    "9" * 4_500 + "/UTC",
)
INSIDE = re.compile(
    rb"sys\.|\bint\b|Exceeds|codec|isoformat|literal|Errno|NoneType|ZoneInfo|object is|expected |regex", re.I
)
"""What the language says of its own failures."""


async def test_a_problem_is_told_in_our_words(world: World) -> None:
    """In every member and parameter, with numbers, sizes, addresses and moments far longer than a parser expects."""
    probes = list(everywhere(world, LONG, places=("query", "json")))
    async with promises(world):
        for probe, answer in zip(probes, await world.walk(probe.request for probe in probes), strict=True):
            check(answer, probe)
            if answer.status >= 400:
                found = INSIDE.search(answer.body)
                assert found is None, (probe, found, answer.body[:300])
