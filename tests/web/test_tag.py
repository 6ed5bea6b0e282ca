"""The two files of the browser tag, as they are served."""

from __future__ import annotations

import re

import brotli
import jsonschema_rs
import pytest

from adserve.web.api.openapi import document
from adserve.web.public import MORE, TAG
from adserve.web.routes import ROUTES
from scripts.build_tag import FILES, STATIC, built
from tests.conftest import Api

MOST_BYTES, MOST_BROTLI_BYTES = 3_072, 1_331
"""Of the first file, which every page loads: 3 KB, and 1.3 KB over the wire."""


@pytest.mark.parametrize("name", FILES)
def test_what_is_served_is_built_from_its_source(name: str) -> None:
    """Byte for byte: whoever changes a source runs `make tag`."""
    assert (STATIC / name).read_bytes() == built(name).encode()


def test_the_first_file_is_as_small_as_promised() -> None:
    """Minified, and again by brotli as proxies send it."""
    assert len(TAG) <= MOST_BYTES
    assert len(brotli.compress(TAG, quality=11)) <= MOST_BROTLI_BYTES


@pytest.mark.parametrize("name", FILES)
def test_the_tag_names_nothing_that_filter_lists_match_on(name: str) -> None:
    """Neither in what is served nor in the source, where it would come from."""
    for text in ((STATIC / name).read_text("utf-8"), (STATIC / "source" / name).read_text("utf-8")):
        assert re.findall(r"(?i)\bads?\b[-_]|\bads\b|banner|sponsor", text) == []


@pytest.mark.parametrize(("path", "data"), [("/slots.js", TAG), ("/slots-more.js", MORE)])
async def test_both_files_are_kept_by_their_etag(api: Api, path: str, data: bytes) -> None:
    """For five minutes unasked, and then as long as they are the same."""
    whole = await api.http.get(path)
    assert (whole.status_code, whole.content) == (200, data)
    assert whole.headers["content-type"] == "text/javascript; charset=utf-8"
    assert whole.headers["cache-control"] == "public, max-age=300"
    again = await api.http.get(path, headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_an_empty_slot_says_when_its_place_may_close(api: Api) -> None:
    """Only when its setting says so, and only while it is empty; as described."""
    await api.world(empty="collapse")
    empty = await api.decide()
    assert empty["collapse"] is True
    described = document(ROUTES)
    jsonschema_rs.validate({**described, "$ref": "#/components/schemas/Empty"}, empty)
    assert set(empty) <= set(described["components"]["schemas"]["Empty"]["properties"])
    await api.make("PATCH", "/sites/news/slots/top", {"empty": "keep"})
    assert "collapse" not in await api.decide()
    await api.make("PATCH", "/sites/news/slots/top", {"empty": "collapse"})
    await api.creative()
    assert "collapse" not in await api.decide()
