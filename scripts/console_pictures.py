"""The pictures of `docs/console.md`: a demo of its own, looked at in a Chromium.

    python -m scripts.console_pictures

They are not the same to the byte each time (the demo's figures are of today), so no test compares them; one looks that
those which the document names are there and small.
"""

from __future__ import annotations

import io
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
WIDE, NARROW = (1120, 760), (390, 760)
MOST_BYTES = 60_000
READERS = 25
"""Pages of the demo that are read before, so that there are figures."""
CAMPAIGN = "kettle-first-flush"
PICTURES = {
    "overview": ("/console/", WIDE, "light"),
    "campaign": (f"/console/campaigns/{CAMPAIGN}", WIDE, "light"),
    "upload": (f"/console/campaigns/{CAMPAIGN}/creatives/new", WIDE, "light"),
    "creatives": ("/console/creatives", WIDE, "light"),
    "review": ("/console/review", WIDE, "light"),
    "reports": ("/console/reports?by=day&then=slot", WIDE, "light"),
    "live": ("/console/live", WIDE, "dark"),
    "explain": ("/console/explain?place=news%2Ftop&device=mobile", WIDE, "light"),
    "code": ("/console/sites/news/slots/top/embed?for=blogger", WIDE, "light"),
    "slots": ("/console/review#looks", WIDE, "light"),
    "phone": ("/console/review", NARROW, "dark"),
}
"""Name to address, window and scheme. Of the review, the first creative that waits; `#looks`: further down there."""


@contextmanager
def demo(folder: Path) -> Iterator[str]:
    """A demo that runs; the link that signs in."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    said = folder / "said"
    with said.open("w") as out:
        arguments = ["demo", "--port", port, "--data-dir", str(folder / "data")]
        process = subprocess.Popen([sys.executable, "-m", "adserve", *arguments], stdout=out, stderr=out)
    try:
        found = None
        while found is None:
            time.sleep(0.2)
            if process.poll() is not None:
                raise SystemExit(said.read_text())
            found = re.search(r"http://\S+/console/link/\S+", said.read_text())
        yield found[0]
    finally:
        process.terminate()
        process.wait(30)


def small(data: bytes) -> bytes:
    """A PNG of as many colours as keep it small."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    for colours in (128, 64, 32, 16):
        out = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        if out.tell() <= MOST_BYTES:
            break
    return out.getvalue()


def taken(page: Page, origin: str, path: str, size: tuple[int, int], scheme: str) -> bytes:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(origin + path)
    if path.startswith("/console/review"):
        page.locator("tbody th a").first.click()
    if path.endswith("#looks"):
        page.get_by_role("heading", name="How it looks").evaluate("one => one.scrollIntoView()")
    page.wait_for_load_state("networkidle") if "live" not in path else page.wait_for_selector("tbody td")
    return page.screenshot()


def main() -> None:
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser_path is None:
        raise SystemExit("needs a Chromium (Debian: apt install chromium)")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="adserve-pictures-") as name, demo(Path(name)) as link:
        origin = link.partition("/console/")[0]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
            page = browser.new_context(user_agent=AGENT).new_page()
            for _ in range(READERS):
                page.goto(f"{origin}/demo/")
                page.wait_for_load_state("networkidle")
            page.goto(link)
            page.click("main button")
            for title, (path, size, scheme) in PICTURES.items():
                data = small(taken(page, origin, path, size, scheme))
                (FOLDER / f"console-{title}.png").write_bytes(data)
                print(f"console-{title}.png: {len(data) // 1000} kB")
            browser.close()


if __name__ == "__main__":
    main()
