"""The page that nginx puts together, in a real Chromium."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.needs import need
from tests.proxies.proxy import AGENT, EXAMPLE, nginx
from tests.service import fetch, service, until

SHIFTS = """window.shifted = 0; window.wrong = [];
new PerformanceObserver((list) => { for (const one of list.getEntries()) window.shifted += one.value })
  .observe({ type: 'layout-shift', buffered: true });
addEventListener('error', (event) => wrong.push(String(event.message)));"""


def test_both_places_show_and_are_counted_and_seen_once(tmp_path: Path) -> None:
    """The creative's own image counts the impression, the tag adopts what stands there and tells of the view."""
    chromium = need("chromium", "chromium-browser", "google-chrome", package="chromium")
    url = "https://serve.example"
    with service(tmp_path, ADSERVE_TRUSTED_PROXIES="127.0.0.1", ADSERVE_PUBLIC_URL=url) as running:
        running.world(1, 1)
        running.call("PUT", "/sites/news/slots/footer", {"sizes": ["300x250"]})
        until(lambda: b"Tea" in fetch(f"{running.origin}/v1/slots/news/footer")[1])
        before = running.at_rest()
        with nginx(running.port, patient=True) as proxy, sync_playwright() as playwright:
            (proxy.root / "index.html").write_text(EXAMPLE.with_name("page.html").read_text("utf-8"))
            rules = f"MAP *.example:443 127.0.0.1:{proxy.port}"
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-gpu", f"--host-resolver-rules={rules}"]
            )
            context = browser.new_context(user_agent=AGENT, ignore_https_errors=True)
            context.add_init_script(SHIFTS)
            page = context.new_page()
            page.goto("https://news.example/")
            assert page.locator("[data-place] .slot-unit").count() == 2
            until(lambda: running.totals()["views"] == 2)
            assert page.evaluate("[shifted, wrong]") == [0, []]
            browser.close()
        found = running.at_rest()
    names = ("requests", "serves", "impressions", "views", "duplicates")
    assert [found[name] - before[name] for name in names] == [2, 2, 2, 2, 0]
