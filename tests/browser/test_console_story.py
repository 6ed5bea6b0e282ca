"""The first ten minutes of somebody with a picture: signed in, uploaded, looked at, approved, seen on the page and in
the live view, its code taken along. Once as browsers are, once without scripts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.conftest import KEY
from tests.browser.console import DESK, Visitor, follow, link_of
from tests.service import BROWSER, command, environment

SIZE = (728, 90)


@pytest.fixture(params=[True, False], ids=["with scripts", "without scripts"])
def context(request: pytest.FixtureRequest, browser: Browser) -> Iterator[BrowserContext]:
    found = browser.new_context(
        user_agent=BROWSER, viewport=DESK, java_script_enabled=request.param  # type: ignore[arg-type]
    )
    found.set_default_timeout(60_000)
    yield found
    found.close()


def test_a_picture_goes_from_a_folder_to_a_page(context: BrowserContext, tmp_path: Path) -> None:
    """Nothing of it needs a script, a manual or another address than the one that the demo prints."""
    file = tmp_path / "harbour.png"
    Image.new("RGB", SIZE, (180, 40, 60)).save(file)
    with command(tmp_path, "demo", "--data-dir", str(tmp_path / "data"), ADSERVE_ADMIN_KEY=KEY) as (_, origin):
        visitor = Visitor(context, link_of(tmp_path / "stderr"))
        page = visitor.page
        uploaded(page, file)
        source = seen_in_every_slot(page)
        approved(page)
        shown_on_the_demo_page(context, origin, source)
        follow(page.get_by_role("navigation").get_by_role("link", name="Live"))
        assert page.get_by_role("link", name="Harbour at night").first.is_visible()
        copied(page, origin, tmp_path)
        assert visitor.complaints == []


def uploaded(page: Page, file: Path) -> None:
    follow(page.get_by_role("navigation").get_by_role("link", name="Creatives"))
    follow(page.get_by_role("link", name="New creative"))
    follow(page.get_by_role("link", name="First flush", exact=True))
    page.locator("input[name=file]").set_input_files(file)
    page.get_by_label("Name").fill("Harbour at night")
    page.get_by_label("Landing page").fill("https://shop.example/harbour")
    page.get_by_role("button", name="Upload and send to review").click()
    # the alternative text was forgotten: a browser says so by itself, and the picture is still chosen
    page.get_by_label("Alternative text").fill("A harbour at night")
    page.get_by_text("Weight, dates and companions").click()
    page.get_by_label("Weight", exact=True).fill("1000")
    follow(page.get_by_role("button", name="Upload and send to review"))
    assert page.locator("h1").inner_text() == "Harbour at night"
    assert page.get_by_role("status").filter(has_text="Sent to review").is_visible()


def seen_in_every_slot(page: Page) -> str:
    """The address of the picture, which each frame shows as large as it is, in light and in dark."""
    frames = page.locator("section.view iframe")
    assert frames.count() >= 2
    assert {"light", "dark"} == set(page.locator("section.view figcaption").all_inner_texts())
    sources = set()
    for at in range(frames.count()):
        frames.nth(at).scroll_into_view_if_needed()
        picture = frames.nth(at).content_frame.locator("img").first
        picture.wait_for(state="visible")
        assert picture.evaluate("one => one.decode().then(() => [one.naturalWidth, one.naturalHeight])") == list(SIZE)
        sources.add(str(picture.get_attribute("src")))
    assert len(sources) == 1
    return sources.pop().rpartition("/")[2]


def approved(page: Page) -> None:
    follow(page.get_by_role("link", name="Review", exact=True).last)
    assert page.locator("h1").inner_text() == "Harbour at night"
    assert page.locator(".host").first.inner_text() == "shop.example"
    follow(page.get_by_role("button", name="Approve"))
    assert page.get_by_role("status").filter(has_text="Approved").is_visible()


def shown_on_the_demo_page(context: BrowserContext, origin: str, source: str) -> None:
    """In its turn: it weighs far more than the others of its campaign, which has most of the slot."""
    other = context.new_page()
    for _ in range(40):
        other.goto(f"{origin}/demo/")
        if other.locator(f'.place img[src$="{source}"]').count():
            break
    else:
        pytest.fail("it never came")
    other.close()


def copied(page: Page, origin: str, folder: Path) -> None:
    """The code for Blogger is what the command line prints, to the letter."""
    follow(page.get_by_role("navigation").get_by_role("link", name="Sites and slots"))
    follow(page.get_by_role("rowheader").get_by_role("link").first)
    follow(page.get_by_role("link", name="Code for its page"))
    follow(page.get_by_role("link", name="Blogger").first)
    shown = [text.strip("\n") for text in page.locator("section.code pre").all_inner_texts()]
    kind = page.url.rpartition("for=")[2]
    arguments = ["embed", "--site", "news", "--for", kind, "--url", origin, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "adserve", *arguments, "--data-dir", str(folder / "data")],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    printed = [one["text"].strip("\n") for one in json.loads(done.stdout)["parts"]]
    assert shown == printed
    assert all(shown)
