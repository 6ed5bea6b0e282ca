"""Files that are something else besides a picture, or are named like something else: what is served is a picture with
a name of ours, and nothing besides."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import pickle
import re
import struct
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from adserve.errors import AdserveError
from adserve.intake.images import inspect_and_encode
from adserve.web.api.body import UPLOADS_AT_ONCE, UPLOADS_OF_ONE
from tests.conftest import ADMIN, Api
from tests.intake.test_images import FOREIGN, HOSTILE, SEEDS, chunk, drawing, saved
from tests.security.places import form_request, good_request
from tests.security.promises import check, promises
from tests.security.table import FORM, FORMS, Address
from tests.security.world import Request, World

encode = partial(inspect_and_encode, max_bytes=5_000_000)
FUZZ = int(os.environ.get("ADSERVE_FUZZ_RUNS", "150"))
"""Mutations that a run tries; ten thousand take about two minutes."""
NAMES = (
    "../../../../app/x.html", "..\\..\\x", "/etc/passwd", "C:\\x", "\\\\evil\\share", "x.php.png", "x.png%00.html",
    "x.png\0.html", ".htaccess", "COM1.png", "x" * 300, "", ".", "..", "x.svg", "x.html", "~root", "$(id).png", "`id`",
    "x;.png", "\u202egnp.exe", "x\u2028y", "-rf", "*", "x.png/..", "%2e%2e%2fx", "file:///etc/passwd", "{sK}",
)  # fmt: skip
TYPES = ("text/html", "image/svg+xml", "application/x-httpd-php", "text/javascript", "", "image/png; charset=utf-7")
FILE = re.compile(r"/m/[0-9a-f]{40}\.(png|jpg|gif|webp|avif)")
LAUGHS = "".join(f"<!ENTITY {chr(at)} '{f'&{chr(at - 1)};' * 10}'>" for at in range(ord("b"), ord("k")))
SVG = (
    "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "<svg onload='alert(1)'/>",
    "<svg><foreignObject><iframe src='javascript:x'/></foreignObject></svg>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<svg><image href='http://169.254.169.254/latest/meta-data/'/></svg>",
    "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><svg>&a;</svg>",
    f"<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'>{LAUGHS}]><svg>&j;</svg>", "\ufeff<svg/>", "<!-- \x89PNG --><svg/>",
)  # fmt: skip
PAYLOADS = {
    "script": b"<script>alert(1)</script>", "comment": b"*/=alert(1);/*", "php": b"<?php system($_GET[0]);?>",
    "pdf": b"%PDF-1.7\n1 0 obj<</JS(app.alert(1))>>", "html": b"<html><body onload=alert(1)>",
}  # fmt: skip


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("META-INF/MANIFEST.MF", "Main-Class: Evil")
        made.writestr("../../x.html", "<script>alert(1)</script>")
    return out.getvalue()


def polyglots() -> Iterator[tuple[str, bytes]]:
    """Every kind of picture with every payload in every place that leaves it a picture."""
    for name, payload in {**PAYLOADS, "archive": archive()}.items():
        for kind, seed in SEEDS.items():
            yield f"{kind} with {name} behind it", seed + payload
            yield f"{kind} with {name} at 1,000", seed.ljust(1000, b"\0") + payload
        still = drawing()
        yield f"PNG with {name} in a chunk", _with_chunk(SEEDS["PNG"], b"tEXt", b"Comment\0" + payload)
        yield f"PNG with {name} in a private chunk", _with_chunk(SEEDS["PNG"], b"prVt", payload)
        yield f"JPEG with {name} in a comment", saved(still, "JPEG", comment=payload)
        yield f"GIF with {name} in a comment", saved(still, "GIF", comment=payload)
        size = struct.pack(">H", len(payload) + 2)
        for marker in (b"\xff\xe0", b"\xff\xe1", b"\xff\xed", b"\xff\xef", b"\xff\xfe"):
            yield f"JPEG with {name} in {marker.hex()}", SEEDS["JPEG"][:2] + marker + size + payload + SEEDS["JPEG"][2:]
        riff = SEEDS["WEBP"] + b"XTRA" + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)
        yield f"WEBP with {name} in a chunk", riff[:4] + struct.pack("<I", len(riff) - 8) + riff[8:]
        box = struct.pack(">I", len(payload) + 8) + b"free" + payload
        yield f"AVIF with {name} in a box", SEEDS["AVIF"] + box
        yield f"{name} first", payload + SEEDS["PNG"]
    yield "a GIF that is a script", b"GIF89a/*" + SEEDS["GIF"][8:] + b"*/=alert(1);"


def _with_chunk(png: bytes, name: bytes, body: bytes) -> bytes:
    return png[:33] + chunk(name, body) + png[33:]


def check_served(data: bytes) -> None:
    """One picture from its first byte to its last."""
    ends = {b"\x89PNG": b"IEND\xaeB`\x82", b"\xff\xd8\xff": b"\xff\xd9", b"GIF8": b";"}
    for sign, end in ends.items():
        if data.startswith(sign):
            assert data.endswith(end)
            assert data.count(b"IEND") <= 1
    if data.startswith(b"RIFF"):
        assert struct.unpack("<I", data[4:8])[0] + 8 == len(data)
    found = Image.open(io.BytesIO(data))
    assert not set(found.info) & {"comment", "exif", "xmp", "icc_profile", "photoshop", "Comment"}
    for payload in (*PAYLOADS.values(), b"PK\3\4", b"META-INF"):
        assert payload not in data


def test_a_picture_with_something_in_it_is_served_without() -> None:
    """Encoded anew, or refused: one kind of file, and none of what was hidden in it."""
    kept = 0
    for what, data in polyglots():
        try:
            picture = encode(data)
        except AdserveError:
            continue
        kept += 1
        try:
            check_served(picture.data)
        except AssertionError as failure:
            raise AssertionError(what) from failure
    assert kept > 90


def test_a_bomb_costs_no_memory() -> None:
    """All of them in one process, which says how much it took at its highest."""
    program = (
        "import resource, sys, pickle\n"
        "from adserve.intake.images import inspect_and_encode\n"
        "from adserve.errors import AdserveError\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for data in pickle.load(sys.stdin.buffer):\n"
        "    try: inspect_and_encode(data, max_bytes=5_000_000)\n"
        "    except AdserveError: continue\n"
        "    raise SystemExit(1)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    bombs = pickle.dumps(HOSTILE["pixels"])
    done = subprocess.run([sys.executable, "-c", program], input=bombs, capture_output=True, check=True)
    assert int(done.stdout) < 50_000, "kB"


def test_a_decoder_writes_no_file(tmp_path: Path) -> None:
    """Whatever it is brought to do: its process may not make one grow."""
    program = (
        "import sys\n"
        "from adserve.intake import images\n"
        "def decode(*_, **__):\n"
        "    open(sys.argv[2], 'wb', 0).write(b'x')\n"
        "images.inspect_and_encode = decode\n"
        "images._main()\n"
    )
    file = tmp_path / "written"
    done = subprocess.run([sys.executable, "-c", program, "1000", str(file)], input=b"", capture_output=True)
    assert b"File too large" in done.stderr
    assert file.stat().st_size == 0


CHANGES = st.lists(
    st.tuples(st.integers(0, 2**20), st.binary(max_size=8), st.sampled_from(["overwrite", "insert", "cut", "double"])),
    max_size=8,
)


@settings(max_examples=FUZZ, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(SEEDS)), CHANGES)
def test_a_picture_that_was_tampered_with_is_taken_or_refused(seed: str, changes: list[tuple[int, bytes, str]]) -> None:
    """Whatever was written over, put in, cut out or doubled; nothing else is raised, and what is taken is whole."""
    data = SEEDS[seed]
    for at, new, how in changes:
        at %= len(data) + 1
        if how == "overwrite":
            data = data[:at] + new + data[at + len(new) :]
        elif how == "insert":
            data = data[:at] + new + data[at:]
        elif how == "cut":
            data = data[:at] + data[at + 4 * len(new) :]
        else:
            data = data[:at] + data[at : at + 64] + data[at:]
    try:
        picture = encode(data)
    except AdserveError:
        return
    check_served(picture.data)


# ---- through the whole service


def uploads(world: World) -> Iterator[Request]:
    """The requests that bring a picture, as they are good."""
    (path,) = [path for method, path in FORMS if method == "POST"]
    yield good_request(world, Address("POST", path, ()))


async def test_a_name_of_a_file_names_nothing(world: World) -> None:
    """Whatever the upload is called and says that it is: a creative with a file under the hash of its bytes, or a
    refusal; nothing is written elsewhere, and the name is said nowhere again."""
    (upload,) = uploads(world)
    before = json.loads((await world.ask(Request("GET", "/api/v1/creatives").with_key())).body)
    asked = [form_request(upload, FORM, b"no picture", filename=name) for name in NAMES]
    asked += [form_request(upload, FORM, b"no picture", type=type_) for type_ in TYPES]
    some = [
        form_request(upload, FORM, world.picture, filename=name, type=type_)
        for name, type_ in zip(NAMES, TYPES, strict=False)
    ]
    async with promises(world):
        for request, answer in zip(asked, await world.walk(one.with_key() for one in asked), strict=True):
            check(answer, request.body)
            assert answer.status in (400, 415, 422), (request.body[:300], answer)
        made = []
        for request in some:
            answer = await world.ask(request.with_key())
            check(answer)
            assert answer.status == 201, answer
            made.append(json.loads(answer.body))
            assert FILE.fullmatch(made[-1]["file"])
        assert len({one["file"] for one in made}) == 1
        after = json.loads((await world.ask(Request("GET", "/api/v1/creatives").with_key())).body)
        assert len(after["items"]) == len(before["items"]) + len(some)


@pytest.mark.parametrize("place", ["file", "bytes"])
async def test_what_is_no_picture_is_refused_by_its_bytes(world: World, place: str) -> None:
    """Drawings that are programs, also packed and under the name of a picture, and every other kind of file."""
    (upload,) = uploads(world)
    texts = [text.encode() for text in SVG]
    files = [*texts, *map(gzip.compress, texts[:3]), *FOREIGN] if place == "bytes" else texts[:3]
    asked = [
        form_request(upload, FORM, data, filename="x.png" if place == "bytes" else "x.svg",
                     type="image/png" if place == "bytes" else "image/svg+xml").with_key()
        for data in files
    ]  # fmt: skip
    async with promises(world):
        for data, answer in zip(files, await world.walk(asked), strict=True):
            check(answer, data[:40])
            assert answer.status in (415, 422), (data[:80], answer)


# ---- many at once


class Slow:
    """An upload that stops after its first bytes until `gate` opens."""

    def __init__(self, api: Api, key: str, gate: asyncio.Event) -> None:
        whole = form_request(Request("POST", "/"), FORM, b"x")
        self.body, self.gate, self.begun = whole.body, gate, asyncio.Event()
        headers = {**{name: str(value) for name, value in whole.headers}, "Authorization": f"Bearer {key}"}
        path = "/api/v1/campaigns/one/creatives"
        self.answer = asyncio.create_task(api.http.post(path, content=self._pieces(), headers=headers))

    async def _pieces(self) -> AsyncIterator[bytes]:
        yield self.body[:50]
        self.begun.set()  # the service asks for more
        await self.gate.wait()
        yield self.body[50:]

    async def is_taken(self) -> bool:
        """Whether there was room for it; if not, it was told so."""
        begun = asyncio.create_task(self.begun.wait())
        await asyncio.wait([self.answer, begun], return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
        if not self.answer.done():
            return True
        told = self.answer.result()
        assert (told.status_code, told.json()["code"]) == (429, "too_many_requests")
        assert told.headers["retry-after"]
        return False

    async def give_up(self) -> None:
        self.answer.cancel()
        await asyncio.wait([self.answer])


async def test_nobody_fills_the_memory_with_uploads(api: Api) -> None:
    """Those that are on their way have a limit, each key a smaller one; whoever comes too late is told when to come
    again. What ended or was given up leaves its room."""
    await api.world()
    await api.creative()
    keys = [ADMIN, *[(await api.make("POST", "/keys", {"role": "admin", "name": "k"}))["key"] for _ in range(2)]]
    gate = asyncio.Event()
    first = [Slow(api, keys[0], gate) for _ in range(UPLOADS_OF_ONE)]
    second = [Slow(api, keys[1], gate) for _ in range(UPLOADS_AT_ONCE - UPLOADS_OF_ONE)]
    for one in (*first, *second):
        assert await one.is_taken()
    assert not await Slow(api, keys[2], gate).is_taken()
    for one in second:
        await one.give_up()
    assert not await Slow(api, keys[0], gate).is_taken()
    assert await Slow(api, keys[2], gate).is_taken()
    gate.set()
    assert {(await one.answer).status_code for one in first} == {415}
    assert (await Slow(api, keys[0], gate).answer).status_code == 415
