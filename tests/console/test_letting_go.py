"""What was refused is let go at once: nothing waits for the garbage collector with somebody's bytes in its hands."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from adserve.intake.images import _WAITING
from tests.conftest import ADMIN, Api
from tests.console.conftest import SAME, Enter
from tests.console.making import world

EDGE, TIMES = "multipart/form-data; boundary=edge", 4
SIZE = 1_000_000
JUNK = os.urandom(SIZE)
PNG = b"\x89PNG\r\n\x1a\n" + JUNK
HERE, API = "/console/campaigns/one/creatives/new", "/api/v1/campaigns/one/creatives"
TEXTS = {"name": "n", "alt": "a", "click_url": "https://shop.example/"}
Send = Callable[[], Awaitable[int]]


def multipart(texts: dict[str, str], **files: bytes) -> bytes:
    """A form with texts and files by the names of their parts."""
    head = '--edge\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n'
    parts = [head.format(name, "").encode() + text.encode() for name, text in texts.items()]
    parts += [head.format(name, f'; filename="{name}.png"').encode() + data for name, data in files.items()]
    return b"".join(one + b"\r\n" for one in parts) + b"--edge--\r\n"


async def in_halves(body: bytes) -> AsyncIterator[bytes]:
    """As a connection brings it, so that the service holds bytes of its own."""
    yield body[: len(body) // 2]
    yield body[len(body) // 2 :]


async def threads_are_free() -> None:
    """Each thread for pictures has taken other work: until then the last one may hold its picture, as it has said what
    came of it and was not scheduled again to let go."""
    threads, loop = _WAITING._max_workers, asyncio.get_running_loop()
    meeting = threading.Barrier(threads)
    await asyncio.gather(*(loop.run_in_executor(_WAITING, meeting.wait, 30) for _ in range(threads)))


async def left_by(send: Send, status: int) -> int:
    """Bytes that some calls leave in memory, when nobody collects garbage."""
    assert await send() == status
    gc.collect()
    gc.disable()
    tracemalloc.start(1)
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(TIMES):
            assert await send() == status
        await threads_are_free()
        for _ in range(4):  # what woke this task up holds the last answer for as long, as does a client cut short
            await asyncio.sleep(0)
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        gc.enable()


FOUR = dict.fromkeys(("file", "file_2x", "file_dark", "file_dark_2x"), JUNK)
OF_CONSOLE: dict[str, tuple[int, dict[str, str], dict[str, bytes]]] = {
    "four files that are no pictures": (422, TEXTS, FOUR),
    "a file that is no picture": (422, TEXTS, {"file": JUNK}),
    "a picture that is broken": (422, TEXTS, {"file": PNG}),
    "a picture without words": (422, {}, {"file": JUNK}),
    "a picture that is too large": (422, TEXTS, {"file": PNG * 6}),
    "a dark picture alone": (422, TEXTS, {"file_dark": JUNK}),
    "a text's file that is no picture": (422, {"kind": "text", "title": "t"}, {"file": JUNK}),
    "a file of markup": (422, {"kind": "html", "html": "<p>"}, {"file": JUNK, "file_2x": JUNK}),
    "a form without its token": (403, {"csrf": "x"}, FOUR),
    "a file in place of a text": (422, {}, {"name": JUNK, "other": JUNK}),
}


@pytest.mark.parametrize("what", OF_CONSOLE)
async def test_a_refused_upload_of_the_console_is_let_go(api: Api, enter: Enter, what: str) -> None:
    """Whatever it was refused for."""
    await world(api)
    person = await enter("advertiser", "acme")
    status, texts, files = OF_CONSOLE[what]
    body = multipart({"csrf": await person.csrf(), **texts}, **files)
    headers = {**SAME, "Content-Type": EDGE}

    async def send() -> int:
        return (await person.call("POST", HERE, content=in_halves(body), headers=headers)).status_code

    assert await left_by(send, status) < SIZE // 2


async def test_a_torn_upload_of_the_console_is_let_go(api: Api, enter: Enter) -> None:
    """With its last boundary missing."""
    await world(api)
    person = await enter("advertiser", "acme")
    body = multipart({"csrf": await person.csrf()}, file=JUNK, file_2x=JUNK)[:-9]
    headers = {**SAME, "Content-Type": EDGE}

    async def send() -> int:
        return (await person.call("POST", HERE, content=in_halves(body), headers=headers)).status_code

    assert await left_by(send, 400) < SIZE // 2


async def test_a_refused_edit_at_the_console_is_let_go(api: Api, enter: Enter) -> None:
    """Of a creative that is there, with a picture that is none."""
    await world(api)
    id_ = await api.creative("one")
    person = await enter()
    body = multipart({"csrf": await person.csrf(), "title": "t", "name": "n"}, file=JUNK)
    headers = {**SAME, "Content-Type": EDGE}

    async def send() -> int:
        path = f"/console/creatives/{id_}/edit"
        return (await person.call("POST", path, content=in_halves(body), headers=headers)).status_code

    assert await left_by(send, 422) < SIZE // 2


OF_API: dict[str, tuple[int, bytes]] = {
    "a file that is no picture": (415, multipart(TEXTS, file=JUNK)),
    "two of them": (422, multipart(TEXTS, file=JUNK, file_2x=JUNK)),
    "a picture that is broken": (422, multipart(TEXTS, file=PNG)),
    "a file that nobody asked for": (422, multipart(TEXTS, file=JUNK, other=JUNK)),
    "a file without words": (422, multipart({}, file=JUNK)),
    "a form without an end": (400, multipart(TEXTS, file=JUNK)[:-9]),
    "a form without its boundaries": (400, JUNK * 2),
    "a file over the limit": (413, multipart(TEXTS, file=JUNK * 6)),
}


@pytest.mark.parametrize("what", OF_API)
async def test_a_refused_upload_of_the_api_is_let_go(api: Api, what: str) -> None:
    """Whatever it was refused for."""
    await world(api)
    status, body = OF_API[what]
    headers: dict[str, Any] = {"Authorization": f"Bearer {ADMIN}", "Content-Type": EDGE}

    async def send() -> int:
        return (await api.http.post(API, content=in_halves(body), headers=headers)).status_code

    assert await left_by(send, status) < SIZE // 2
