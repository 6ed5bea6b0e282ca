"""Every page of the console in a real browser: with assistive technology, in the dark, on a phone, full and empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from adserve.web.console.pages import PAGES
from tests.browser.conftest import KEY
from tests.browser.console import DESK, PHONE, Visitor, admin_of, link_of
from tests.console.forms import IN_AND_OUT
from tests.console.town import named
from tests.service import BROWSER, command, service

HIDDEN = {
    "GET /console/preview/{id}", "GET /console/campaigns/{id}/room", "GET /console/explain/{decision}",
    "GET /console/keys/{id}", "GET /console/account/second-factor",
}  # fmt: skip
"""The document of a frame, which has tests of its own; pages of what a demo has only at times, or none of."""
CONTRAST = {"runOnly": ["color-contrast"], "resultTypes": ["violations"]}
"""What another scheme may change."""


@pytest.fixture(scope="module", params=["full", "empty"])
def visitor(
    request: pytest.FixtureRequest, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Visitor]:
    """Of the demo, where something stands in every place, and of a service that nobody has used yet."""
    folder: Path = tmp_path_factory.mktemp("console")
    context = browser.new_context(  # what fades in is judged when it is there
        user_agent=BROWSER, viewport=DESK, reduced_motion="reduce"  # type: ignore[arg-type]
    )
    context.set_default_timeout(60_000)
    if request.param == "full":
        with command(folder, "demo", "--data-dir", str(folder / "data"), ADSERVE_ADMIN_KEY=KEY) as (_, origin):
            page = context.new_page()
            page.goto(f"{origin}/demo/")
            page.close()
            yield Visitor(context, link_of(folder / "stderr"))
    else:
        with service(folder) as running:
            yield Visitor(context, admin_of(running))
    context.close()


def test_every_page_is_for_everybody(visitor: Visitor) -> None:
    """axe-core finds nothing in light and dark, wide and narrow; nothing lies beside a phone's window; the browser
    has refused nothing by the policy of the pages, and no script failed."""
    found: list[str] = []
    pages = visitor.every()
    page = visitor.page
    for line, path in pages.items():
        visitor.go(path)
        for width, scheme in ((DESK, "light"), (DESK, "dark"), (PHONE, "dark"), (PHONE, "light")):
            page.set_viewport_size(width)  # type: ignore[arg-type]
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            checked = Axe().run(page, options=CONTRAST if scheme == "dark" else None)
            found += [
                f"{line} {width['width']} {scheme}: {one['id']}: {node['target']}"
                for one in checked.response["violations"]
                for node in one["nodes"][:3]
            ]
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                found.append(f"{line} {width['width']}: wider than the window")
        found += [f"{line}: {one}" for one in page.evaluate("window.violations")]
    assert found == []
    assert visitor.complaints == []
    if "GET /console/campaigns/{id}" in pages:
        wanted = {named(one) for one in PAGES if one.method == "GET" and not one.path.startswith(IN_AND_OUT)}
        assert wanted - set(pages) <= HIDDEN
