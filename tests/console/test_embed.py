"""The code that a page shows to be pasted is what the command line prints."""

from __future__ import annotations

import asyncio
import shlex

import pytest
from click.testing import CliRunner

from adserve.cli.embed import embed_command
from adserve.embed.markup import KINDS
from adserve.settings import Settings
from adserve.web.console.embed import WORDS
from tests.conftest import SECRET, Api
from tests.console.conftest import Enter
from tests.console.reading import Reading


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["/console/sites/news/slots/top/embed", "/console/sites/news/embed"])
async def test_a_page_shows_what_the_command_prints(
    api: Api, enter: Enter, settings: Settings, store_url: str, kind: str, path: str
) -> None:
    """Of every kind, by the command that the page names: to the byte."""
    await api.world(slots=("top", "below-post"))
    await api.make("PUT", "/sites/news/slots/top", {"title": "Top's <b>", "sizes": ["728x90", "320x50"]})
    person = await enter("reader")
    shown = Reading(await person.get(f"{path}?for={kind}"))
    command = next(one.text for one in shown.main.iter("code") if (one.text or "").startswith("adserve "))
    environment = {
        "ADSERVE_REDIS_URL": store_url,
        "ADSERVE_KEY_PREFIX": settings.key_prefix,
        "ADSERVE_DATA_DIR": str(settings.data_dir),
        "ADSERVE_SECRET": SECRET,
    }
    ran = await asyncio.to_thread(CliRunner(env=environment).invoke, embed_command, shlex.split(command)[2:])
    assert ran.exit_code == 0, ran.output
    code = shown.code()
    if len(code) == 1:
        assert ran.stdout == f"{code[0]}\n"
    else:
        printed = [part.partition("\n")[2].strip("\n") for part in ran.stdout.split("== ")[1:]]
        assert printed == [part.strip("\n") for part in code]
    assert shown.links[WORDS[kind]] == f"?for={kind}"


async def test_what_is_archived_or_unknown_has_no_code(api: Api, enter: Enter) -> None:
    """A slot out of use is not found; a kind that is none is named with those that are."""
    await api.world(slots=("top", "side"))
    person = await enter()
    await person.post("/console/sites/news/slots/top/archive")
    assert (await person.get("/console/sites/news/slots/top/embed")).status_code == 404
    refused = await person.get("/console/sites/news/slots/side/embed?for=htmk")
    assert refused.status_code == 422
    assert "did you mean html?" in refused.text
