"""Documents that stand in a frame: that of an `html` creative, and a whole slot for pages without script.

DESIGN. Markup of an advertiser is never part of a page. It is the body of a document of its own, which a sandbox keeps
in an origin that is nobody's: once by the attribute of its frame, and once by its own header, which also holds where
somebody else frames it or opens it. In it, script may load and ask what it likes over https; it has no cookie, no
storage, no form, no dialog, no device, and navigates nothing but itself and new windows that a reader's own
click opens. Not chosen: a host of its own for these documents (one more name and certificate for everyone, and the
sandbox is as strict).
"""

from __future__ import annotations

import asyncio
import hashlib
import html
import re
from collections.abc import Callable, Mapping, Sequence

from starlette.routing import Route

from adserve.errors import BadToken, StoreUnavailable
from adserve.flows import track
from adserve.flows.worker import Worker
from adserve.web.answers import COMMON, TEXT, Answer, Head, Headers, Waiting
from adserve.web.api.documents import templates
from adserve.web.calls import Known, call
from adserve.web.client import Ask, base_url
from adserve.web.events import GONE, LATE, NOT_NOW, NOT_OURS

SANDBOX = "allow-scripts allow-popups allow-popups-to-escape-sandbox"
"""What a creative may; the attribute in `templates/html.html.j2` says the same. A landing page in a new window is no
creative, and stands in no sandbox."""
_OF_MARKUP = (
    f"sandbox {SANDBOX}; default-src 'none'; script-src 'unsafe-inline' https:; style-src 'unsafe-inline' https:; "
    "img-src https: data: blob: {base}/; font-src https: data:; media-src https: data: blob:; connect-src https:; "
    "frame-src https:; worker-src 'none'; form-action 'none'; base-uri 'none'"
)
_OF_SLOT = (
    "default-src 'none'; script-src {base}/slots.js {base}/slots-more.js; style-src 'unsafe-inline'; img-src {base}/; "
    "connect-src {base}/; frame-src {base}/f/; form-action 'none'; base-uri 'none'"
)
_DEVICES = (
    "accelerometer", "autoplay", "browsing-topics", "camera", "clipboard-read", "clipboard-write",
    "display-capture", "encrypted-media", "fullscreen", "geolocation", "gyroscope", "hid", "idle-detection",
    "magnetometer", "microphone", "midi", "payment", "picture-in-picture", "publickey-credentials-get",
    "screen-wake-lock", "serial", "storage-access", "usb", "xr-spatial-tracking",
)  # fmt: skip
_COMMON: Headers = [
    *COMMON,
    (b"content-type", b"text/html; charset=utf-8"),
    (b"permissions-policy", ", ".join(f"{name}=()" for name in _DEVICES).encode()),
]
_NOT_FOUND: Answer = (Head(404, TEXT), b"not found\n")
_MACRO = re.compile(
    r"\{(?:(?P<click>click)|random|cachebuster)\}|%%CACHEBUSTER%%|\$\{CACHEBUSTER\}|\[CACHE_?BUST(?:ER|ING)\]"
    r"|(?<=[?&;/]ord=)\[timestamp\]|(?<=[?&;]rnd=)\[timestamp\]"
)
"""`{click}` and `{random}`, and what other servers call the latter where it can be nothing else in a script."""
_BODY = re.compile(r"<body(?:\s[^>]*)?>", re.IGNORECASE)
_WHOLE = re.compile(r"\s*<(!doctype|html)\b", re.IGNORECASE)
_HEAD = (
    '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta name="color-scheme" content="light dark">'
)
_HOLE = "\ue000"
"""Where a snippet stands in the template of a page; no stored text has it."""
_PIXEL = (
    '<img src="{}" width="1" height="1" alt="" aria-hidden="true" referrerpolicy="no-referrer" '
    'style="position:absolute;width:1px;height:1px;border:0;opacity:0">'
)
_STYLE = "<style>body{margin:0}</style>"


class Frames:
    """The endpoints, over one worker. `fill`: what answers a slot call."""

    def __init__(self, worker: Worker, fill: Callable[[Ask, str], Answer | Waiting]) -> None:
        self.worker, self._fill = worker, fill

    def routes(self, known: Known) -> list[Route]:
        return [
            call("/f/{token}", self.markup, known, "GET", "HEAD"),
            call("/v1/frames/{site}/{slot}", self.slot, known, "GET"),
        ]

    async def markup(self, ask: Ask, path: Mapping[str, str]) -> Answer:
        """`GET /f/{token}`: the document of an `html` creative, by the token of its click. Counts nothing."""
        worker, token = self.worker, path["token"]
        try:
            seen = track.inspect(worker, token, "c")
        except BadToken:
            return NOT_OURS
        if seen.late:
            return LATE
        try:
            await track.hear_of(worker, seen.serve)
        except StoreUnavailable:
            return NOT_NOW
        landing = worker.catalog.landings.get(seen.serve.revision) if worker.catalog is not None else None
        if landing is None or landing.parts is None or landing.creative.live is None:
            return GONE
        if landing.creative.kind != "html":
            return _NOT_FOUND
        base = base_url(worker, ask)
        live = landing.creative.live
        document = filled(live.html, f"{base}/c/{token}", token, live.trackers)
        return _document(markup_policy(base)), document.encode()

    async def slot(self, ask: Ask, path: Mapping[str, str]) -> Answer:
        """`GET /v1/frames/{site}/{slot}`: a slot as a whole page, for a frame on any page."""
        name = f"{path['site']}/{path['slot']}"
        as_html = {header: value for header, value in ask.headers.items() if header != b"accept"}
        answer = self._fill(Ask(ask.method, ask.query, as_html, ask.peer, ask.caller), name)
        if isinstance(answer, Waiting):
            await asyncio.wait([answer.future])
            answer = answer.answer(answer.future)
        head, snippet = answer
        told = [header for header in head.headers if header[0].startswith(b"adserve-")]
        base = base_url(self.worker, ask)
        return _document(_OF_SLOT.format(base=base)).also(*told), self._page(name, snippet.decode(), base).encode()

    def _page(self, name: str, snippet: str, base: str) -> str:
        slot = self.worker.offers.slots.get(name.partition(":")[0]) if self.worker.offers is not None else None
        if slot is None or not snippet:
            return f"{_HEAD}<title></title>"
        label = slot.slot.label.replace(_HOLE, "")  # it holds none; stored data may be tampered with
        page = templates.get_template("frame.html.j2").render(label=label, snippet=_HOLE, base=base, site=slot.site.id)
        before, _, after = page.partition(_HOLE)
        return f"{before}{snippet}{after}"


def markup_policy(base: str) -> str:
    """Of a document of markup. `base`: our own address."""
    return _OF_MARKUP.format(base=base)


def _document(policy: str) -> Head:
    return Head(200, [*_COMMON, (b"content-security-policy", policy.encode())])


def filled(markup: str, click: str, token: str, trackers: Sequence[str] = ()) -> str:
    """Markup with its macros: `click` is ours and plain ASCII. What is no whole document gets a head in which links
    open new windows: in its own frame a landing page would stand in the sandbox. `trackers` are called when it
    renders; they stand before the markup, of which nothing can then swallow them, or else where a whole document's body
    begins.

    >>> filled("<!doctype html><a href={click}>{other}", "https://s.example/c/t", "t")
    '<!doctype html><a href=https://s.example/c/t>{other}'
    """
    random = hashlib.blake2b(token.encode(), digest_size=8).hexdigest()
    body = _MACRO.sub(lambda found: click if found["click"] else random, markup)
    pixels = "".join(_PIXEL.format(html.escape(one.replace("{random}", random))) for one in trackers)
    if not _WHOLE.match(body):
        return f'{_HEAD}<title></title><base target="_blank">{_STYLE}{pixels}{body}'
    at = found.end() if (found := _BODY.search(body)) else len(body)
    return f"{body[:at]}{pixels}{body[at:]}"
