"""What delivery and the public routes take and give, for the description of the interface.

They answer ahead of the router, as few steps from the socket as can be, so no table runs them: this one only
says what they do. A test compares it with the addresses that the application answers.
"""

from __future__ import annotations

from typing import Any

from adserve.core.model import DEVICES
from adserve.core.validate import Schema
from adserve.web.api.shapes import ID, TEXT, ref

Operation = dict[str, Any]

TOKEN: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_-]{48}$"}
_COUNTED = "With an API key alone: `counted`, `duplicate`, `late`, `filtered; reason=...` or `spooled`."
_GIF: dict[str, Any] = {"image/gif": {"schema": {}}}
_WORD = {"text/plain": {"schema": TEXT}}
_HTML = {"text/html": {"schema": TEXT}}


def _json(name: str, media: str = "application/json") -> dict[str, Any]:
    return {media: {"schema": ref(name)}}


def _in(place: str, name: str, schema: Schema, about: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": schema, "description": about, **more}


def _answer(about: str, content: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
    found: dict[str, Any] = {"description": about}
    if content is not None:
        found["content"] = content
    if headers:
        found["headers"] = {
            name.replace("_", "-"): {"description": said, "schema": TEXT} for name, said in headers.items()
        }
    return found


def _call(tag: str, summary: str, responses: dict[str, Any], *parameters: dict[str, Any], about: str = "") -> Operation:
    found: Operation = {"tags": [tag], "summary": summary, "security": [], "responses": responses}
    if parameters:
        found["parameters"] = list(parameters)
    if about:
        found["description"] = about
    return found


_SCRIPT = {
    "200": _answer("A script.", {"text/javascript": {"schema": TEXT}}, ETag="Of its bytes."),
    "304": _answer("You have it.", ETag="Of its bytes."),
}
_READER = (
    _in(
        "query",
        "width",
        TEXT,
        "CSS pixels of the slot's box, digits; in a page call one for all or, with commas, one for each of `slots`. "
        "A phone that says none has 360.",
        example="728",
    ),
    _in("query", "device", TEXT, f"{', '.join(DEVICES[1:])}; left out: what the client says it is.", example="desktop"),
    _in(
        "query",
        "pv",
        TEXT,
        "The `page_view` of an earlier call for this page view, or an id of it that the page made: 8 to 64 of A-Z, "
        "a-z, 0-9, _ and -.",
        example="a1b2c3d4",
    ),
    _in(
        "query",
        "plan",
        TEXT,
        "The slots that the page has, as in `slots`; left out: all of the site. Of calls that begin a page view.",
        example="top,top:2,sidebar",
    ),
    _in("query", "labels", TEXT, "What the page is about: up to 50, comma-separated, in any script.", example="world"),
    _in("query", "url", TEXT, "The page's address; its query is dropped.", example="https://news.example/world/1"),
    _in("query", "lang", TEXT, "BCP 47. Left out: the first of Accept-Language.", example="en-GB"),
    _in("query", "country", TEXT, "ISO 3166-1 alpha-2. Only of callers with a key.", example="IN"),
    _in("query", "kv.section", TEXT, "A key-value; any name may stand behind `kv.`.", example="front"),
    _in(
        "query",
        "visitor",
        {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        "An opaque first-party id of the reader; never stored in clear. Ignored with `Sec-GPC: 1`.",
        example="3f2c9a",
    ),
    _in(
        "query",
        "seen",
        {"type": "string", "maxLength": 784},
        "What the device was handed last, or empty when it keeps nothing yet. Ignored with `visitor` or `Sec-GPC: 1`.",
        example="",
    ),
    _in("query", "internal", TEXT, "`1`: its events are set aside as `internal`.", example="1"),
)
_F = _in(
    "query",
    "f",
    TEXT,
    "Part of an address that counts on a visitor. What was not made for the token is ignored.",
)
_SITE = _in("path", "site", ID, "The site.", example="news")
_SLOT = _in("path", "slot", ID, "The slot.", example="top")
_TOKEN = _in("path", "token", TOKEN, "From a decision.")
_KEY = _in("path", "key", {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}, "Opaque, your own.", example="a1b2")
_PAIR = (
    _in("query", "n", TEXT, "1 to 10: which of several pictures of one key.", example="2"),
    _in("query", "every", TEXT, "`hour`, `day` or `week`: another creative as time goes on.", example="day"),
    *(one for one in _READER if one["name"] in ("labels", "url", "lang", "kv.section", "internal")),
)
_WHY_NO_PAIR = "Why there is none: `unknown-slot`, `counts-on-impression`, `bad-key`, `empty`, `gone`, `no-picture`."
_IGNORED = "Unknown parameters are ignored; malformed ones are ignored and counted in `/metrics`."
_NOT_OURS = _answer("A token that is not ours, altered or of another purpose.", _WORD)
_LATE = _answer("Too late; counted as late.", _WORD, Adserve_Counted=_COUNTED)
_NOT_NOW = _answer("Neither the store nor the spool takes it; send it again.", _WORD, Retry_After="Seconds to wait.")


def _event(noun: str) -> dict[str, Operation]:
    common = {"400": _NOT_OURS, "410": _LATE, "503": _NOT_NOW}
    again = "An event that comes again answers like the first and counts once."
    return {
        "get": _call(
            "events",
            f"{noun} seen, by an image",
            {"200": _answer("A pixel.", _GIF, Adserve_Counted=_COUNTED), **common},
            _TOKEN,
            _F,
            about=again,
        ),
        "post": _call(
            "events",
            f"{noun} seen, by a beacon",
            {"204": _answer("Counted.", Adserve_Counted=_COUNTED), **common},
            _TOKEN,
            _F,
            about=again,
        ),
    }


_MOVED = _answer("It stands under `/api/v1`.", Location="Its address.")

PUBLIC: dict[str, dict[str, Operation]] = {
    "/v1/slots/{site}/{slot}": {
        "get": _call(
            "delivery",
            "fill one slot",
            {
                "200": _answer(
                    "The snippet, or nothing; with `Accept: application/json` the decision.",
                    {**_HTML, **_json("DecisionOrAds")},
                    Adserve_Fill="`1` or `0` (not of JSON).",
                    Adserve_Reason="Why it is empty: `unknown-slot`.",
                ),
                "404": _answer("Of JSON callers alone: no such slot.", _json("Problem", "application/problem+json")),
            },
            _SITE,
            _SLOT,
            _in("query", "count", TEXT, "1 to 10 ads for the slot, none of them twice.", example="2"),
            *_READER,
            about=_IGNORED + " A slot may be named with its instance, as in `top:2`.",
        )
    },
    "/v1/pages/{site}": {
        "get": _call(
            "delivery",
            "fill the slots of a page",
            {
                "200": _answer("A decision a slot.", _json("Page")),
                "404": _answer("No such site.", _json("Problem", "application/problem+json")),
            },
            _SITE,
            _in("query", "slots", TEXT, "Names with commas between, `top:1,top:2` for instances.", example="top,top:2"),
            *_READER,
            about=_IGNORED + " Without `slots` all of the site are filled; at most 100 in one call.",
        )
    },
    "/v1/frames/{site}/{slot}": {
        "get": _call(
            "delivery",
            "a slot as a document for a frame",
            {
                "200": _answer(
                    "A whole page, with the snippet or nothing.",
                    _HTML,
                    Adserve_Fill="`1` or `0`.",
                    Adserve_Reason="Why it is empty: `unknown-slot`, `passback`.",
                )
            },
            _SITE,
            _SLOT,
            *_READER,
            about=_IGNORED,
        )
    },
    "/v1/pairs/{site}/{slot}/{key}": {
        "get": _call(
            "delivery",
            "the picture of a keyed pair",
            {
                "200": _answer(
                    "The picture, or a transparent pixel.",
                    {"image/*": {"schema": {}}},
                    Adserve_Fill="`1` or `0`.",
                    Adserve_Reason=_WHY_NO_PAIR,
                )
            },
            _SITE,
            _SLOT,
            _KEY,
            *_PAIR,
            about=_IGNORED,
        )
    },
    "/v1/pairs/{site}/{slot}/{key}/link": {
        "get": _call(
            "events",
            "a click on the picture of a keyed pair",
            {
                "302": _answer(
                    "To the stored landing page, or to the site when there is no picture.",
                    Location="The landing page, or the site's first origin.",
                    Adserve_Fill="`1` or `0`.",
                ),
                "404": _answer("No picture, and a site without origins.", _HTML, Adserve_Reason=_WHY_NO_PAIR),
                "410": _answer("The creative was rejected or deleted.", _HTML),
                "503": _NOT_NOW,
            },
            _SITE,
            _SLOT,
            _KEY,
            *_PAIR,
            about=_IGNORED,
        )
    },
    "/f/{token}": {
        "get": _call(
            "delivery",
            "the document of an html creative",
            {
                "200": _answer("Its markup, in a sandbox.", _HTML, Content_Security_Policy="The sandbox."),
                "400": _NOT_OURS,
                "404": _answer("The creative is of another kind.", _WORD),
                "410": _answer("Too late, or the creative was rejected or deleted.", {**_HTML, **_WORD}),
                "503": _NOT_NOW,
            },
            _in("path", "token", TOKEN, "Of the click of a decision."),
        )
    },
    "/e/i/{token}": _event("an impression"),
    "/e/v/{token}": _event("a view"),
    "/c/{token}": {
        "get": _call(
            "events",
            "a click",
            {
                "302": _answer(
                    "To the stored landing page.",
                    Location="The landing page, never of the request.",
                    Adserve_Counted=_COUNTED,
                ),
                "400": _NOT_OURS,
                "410": _answer("The creative was rejected or deleted.", _HTML),
                "503": _NOT_NOW,
            },
            _TOKEN,
        )
    },
    "/m/{file}": {
        "get": _call(
            "delivery",
            "a picture",
            {
                "200": _answer("The picture, for ever.", {"image/*": {"schema": {}}}, ETag="Its name."),
                "304": _answer("You have it.", ETag="Its name."),
                "404": _answer("No such picture.", _WORD),
                "503": _answer("The store does not answer.", _WORD, Retry_After="Seconds to wait."),
            },
            _in("path", "file", TEXT, "The `file` of a creative.", example="0123456789abcdef.png"),
        )
    },
    "/slots.js": {"get": _call("delivery", "the browser tag", _SCRIPT)},
    "/slots-more.js": {"get": _call("delivery", "what the tag loads for pages that ask for more", _SCRIPT)},
    "/healthz": {"get": _call("health", "is it alive", {"200": _answer("It is.", _json("Alive"))})},
    "/readyz": {
        "get": _call(
            "health",
            "may it be asked",
            {
                "200": _answer("`ready`, or `degraded` without the store.", _json("Readiness")),
                "503": _answer("No catalog yet.", _json("Readiness")),
            },
        )
    },
    "/version": {"get": _call("health", "which version", {"200": _answer("Its number.", _json("Version"))})},
    "/openapi.json": {"get": _call("description", "where the description is", {"307": _MOVED})},
    "/docs": {"get": _call("description", "where the description to read is", {"307": _MOVED})},
    "/metrics": {"get": _call("health", "figures for Prometheus", {"200": _answer("Its text format.", _WORD)})},
}
