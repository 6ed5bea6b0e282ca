"""Every address of the application, from its own route tables, with what a good request to it looks like.

A new route of the management API that takes a body needs a line in BODIES; one that is hot, a line in DELIVERY.
`tests/security/test_harness.py` fails without them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from starlette.routing import Route as StarletteRoute

from adserve.web.routes import ROUTES

DELIVERY = {
    "/v1/slots/{site}/{slot}": {"GET"},
    "/v1/pages/{site}": {"GET"},
    "/e/i/{token}": {"GET", "POST"},
    "/e/v/{token}": {"GET", "POST"},
    "/c/{token}": {"GET", "HEAD"},
    "/f/{token}": {"GET", "HEAD"},
    "/v1/frames/{site}/{slot}": {"GET"},
    "/v1/pairs/{site}/{slot}/{key}": {"GET", "HEAD"},
    "/v1/pairs/{site}/{slot}/{key}/link": {"GET", "HEAD"},
}
"""The routes of delivery, which stand in no table of the product or say no method there."""

_PAGE = ("labels", "url", "lang", "pv", "plan", "kv.section")
_READER = ("country", "device", "width", "visitor", "internal")
CONTEXT = (*_PAGE, *_READER, "count")
PAIR = ("labels", "url", "lang", "kv.section", "n", "every", "internal")
QUERIES: dict[str, tuple[str, ...]] = {
    "/v1/slots/{site}/{slot}": CONTEXT,
    "/v1/pages/{site}": ("slots", *CONTEXT),
    "/c/{token}": ("dest", "url", "next", "internal"),
    "/f/{token}": ("click", "random", "url"),
    "/v1/frames/{site}/{slot}": CONTEXT,
    "/v1/pairs/{site}/{slot}/{key}": PAIR,
    "/v1/pairs/{site}/{slot}/{key}/link": (*PAIR, "dest", "next"),
}
"""The documented parameters of what is not in the table of the management API."""

PRICE = {"model": "cpm", "amount": "2.50", "currency": "INR"}
SITE = {"name": "Spare", "timezone": "UTC", "origins": ["https://spare.example"], "clients": "browser"}
SLOT = {
    "title": "Spare", "sizes": ["300x250"], "label": "Advertisement", "rank": 1, "rotation": "even",
    "empty": "keep", "repeat": "never", "count_on": "impression", "max_kb": 150, "state": "active",
}  # fmt: skip
ADVERTISER = {"name": "Spare", "categories": ["cars"]}
CAMPAIGN = {
    "advertiser": "spare", "name": "Spare", "tier": "standard", "weight": 1, "slots": ["spare/top"],
    "timezone": "UTC", "starts": "2027-01-01", "ends": "2028-01-01", "price": PRICE, "state": "active",
    "target": {
        "labels": {"none": ["conflict"]}, "urls": {"none": ["spare.example/live/*"]},
        "kv": {"section": {"none": ["front"]}}, "hours": ["mon-sun"],
    },
}  # fmt: skip
MARKUP = {
    "kind": "html", "name": "h", "html": "<p>Tea</p>", "width": 300, "height": 250, "weight": 1,
    "click_url": "https://shop.example/tea",
}  # fmt: skip
"""A good body of a creative of this kind."""
TEXT = {
    "kind": "text", "name": "t", "title": "Tea", "body": "Hot.", "click_url": "https://shop.example/tea", "weight": 1,
    "starts": "2027-01-01", "ends": "2028-01-01",
}  # fmt: skip
CONTENT = {"title": "Tea", "body": "Hotter.", "click_url": "https://shop.example/tea"}
FORM = {"kind": "image", "name": "p", "alt": "A cup", "click_url": "https://shop.example/cup", "weight": "1"}

V1 = "/api/v1"
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("PUT", f"{V1}/sites/{{id}}"): SITE,
    ("PATCH", f"{V1}/sites/{{id}}"): SITE,
    ("PUT", f"{V1}/sites/{{site}}/slots/{{slot}}"): SLOT,
    ("PATCH", f"{V1}/sites/{{site}}/slots/{{slot}}"): SLOT,
    ("PUT", f"{V1}/advertisers/{{id}}"): ADVERTISER,
    ("PATCH", f"{V1}/advertisers/{{id}}"): ADVERTISER,
    ("PUT", f"{V1}/campaigns/{{id}}"): CAMPAIGN,
    ("PATCH", f"{V1}/campaigns/{{id}}"): CAMPAIGN,
    ("POST", f"{V1}/campaigns/{{id}}/creatives"): TEXT,
    ("PATCH", f"{V1}/creatives/{{id}}"): {"name": "t", "weight": 2, **CONTENT},
    ("PUT", f"{V1}/creatives/{{id}}/content"): CONTENT,
    ("POST", f"{V1}/creatives/{{id}}/approve"): {},
    ("POST", f"{V1}/creatives/{{id}}/reject"): {"reason": "no"},
    ("POST", f"{V1}/creatives/{{id}}/restore"): {"revision": 1},
    ("POST", f"{V1}/creatives/{{id}}/pause"): {},
    ("POST", f"{V1}/creatives/{{id}}/resume"): {},
    ("POST", f"{V1}/keys"): {"role": "admin", "name": "spare"},
    ("POST", f"{V1}/keys/{{id}}/rotate"): {"grace_hours": 1},
}
"""A good JSON body of every route that takes one."""
FORMS = {("POST", f"{V1}/campaigns/{{id}}/creatives"): FORM, ("PUT", f"{V1}/creatives/{{id}}/content"): FORM}
"""A good form of every route that takes a file, without the file."""


class Address(NamedTuple):
    """One method on one path. `query`: the parameters that it documents."""

    method: str
    path: str
    query: tuple[str, ...]

    @property
    def managed(self) -> bool:
        """Whether it is of the management API, which asks for a key."""
        return self.path.startswith(f"{V1}/")


def methods(app: Any) -> dict[str, set[str]]:
    """Every path of an application (as `create_app` makes it) with the methods that it takes."""
    router = app
    while not hasattr(router, "routes"):
        router = router.app
    found: dict[str, set[str]] = {}
    for route in router.routes:
        assert isinstance(route, StarletteRoute), f"another kind of route wants its place here: {route}"
        if route.path.startswith(("/console", "/preview", "/share")):  # pages: see tests/console
            continue
        if not route.path.endswith(":path}"):  # what is no address of the API
            found[route.path] = set(route.methods or ())
    for api in ROUTES:
        found[api.path] |= {api.method} | ({"HEAD"} if api.method == "GET" else set())
    return found | DELIVERY


def addresses(app: Any) -> Iterator[Address]:
    """The same, one line a method."""
    managed = {(route.method, route.path): tuple(route.query) for route in ROUTES}
    for path, taken in methods(app).items():
        for method in sorted(taken):
            same = "GET" if method == "HEAD" else method
            yield Address(method, path, managed.get((same, path), QUERIES.get(path, ())))
