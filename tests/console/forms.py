"""A good form of every page that takes one, and who may do what: said a second time beside the table of pages.

A page that is added wants its line in MAY, and one that takes a form a line in GOOD, which `test_table.py` asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from adserve.core.access import ROLES

ADMIN, STAFF, ALL, REVIEW = "admin", "admin reviewer reader", " ".join(ROLES), "admin reviewer"
OWN, SENDERS = "admin advertiser", "admin advertiser reviewer"
ANYONE = ""
"""Also without a session."""
MAY = {
    "GET /console/": ALL,
    "GET /console/campaigns": ALL, "GET /console/campaigns/{id}": ALL, "GET /console/campaigns/{id}/room": STAFF,
    "GET /console/campaigns/new": ADMIN, "POST /console/campaigns/new": ADMIN,
    "GET /console/campaigns/{id}/edit": ADMIN, "POST /console/campaigns/{id}/edit": ADMIN,
    "GET /console/campaigns/{id}/clone": ADMIN, "POST /console/campaigns/{id}/clone": ADMIN,
    "GET /console/campaigns/{id}/archive": ADMIN, "POST /console/campaigns/{id}/archive": ADMIN,
    "POST /console/campaigns/{id}/unarchive": ADMIN,
    "POST /console/campaigns/{id}/pause": ADMIN, "POST /console/campaigns/{id}/resume": ADMIN,
    "GET /console/advertisers": STAFF, "GET /console/advertisers/{id}": ALL,
    "GET /console/advertisers/new": ADMIN, "POST /console/advertisers/new": ADMIN,
    "GET /console/advertisers/{id}/edit": ADMIN, "POST /console/advertisers/{id}/edit": ADMIN,
    "POST /console/advertisers/{id}/archive": ADMIN, "POST /console/advertisers/{id}/unarchive": ADMIN,
    "POST /console/sites/{id}/archive": ADMIN, "POST /console/sites/{id}/unarchive": ADMIN,
    "GET /console/sites/{id}/embed": STAFF, "GET /console/sites/{site}/slots/{slot}/embed": STAFF,
    "GET /console/sites/{site}/slots/new": ADMIN, "POST /console/sites/{site}/slots/new": ADMIN,
    "GET /console/sites/{site}/slots/{slot}": STAFF, "GET /console/sites/{site}/slots/{slot}/room": STAFF,
    "GET /console/sites/{site}/slots/{slot}/edit": ADMIN, "POST /console/sites/{site}/slots/{slot}/edit": ADMIN,
    "POST /console/sites/{site}/slots/{slot}/archive": ADMIN,
    "POST /console/sites/{site}/slots/{slot}/unarchive": ADMIN,
    "POST /console/sites/{site}/slots/{slot}/pause": ADMIN, "POST /console/sites/{site}/slots/{slot}/resume": ADMIN,
    "GET /console/sites": STAFF, "GET /console/sites/new": ADMIN, "POST /console/sites/new": ADMIN,
    "GET /console/sites/{id}": STAFF, "GET /console/sites/{id}/edit": ADMIN, "POST /console/sites/{id}/edit": ADMIN,
    "POST /console/sites/{id}/pause": ADMIN, "POST /console/sites/{id}/resume": ADMIN,
    "GET /console/campaigns/{id}/report": ALL, "GET /console/reports": ALL,
    "POST /console/campaigns/{id}/report/links": OWN,
    "POST /console/campaigns/{id}/report/links/{share}/revoke": OWN,
    "GET /console/creatives": ALL, "GET /console/creatives/{id}": ALL,
    "GET /console/creatives/{id}/revisions/{revision}": ALL,
    "POST /console/creatives/{id}/revisions/{revision}/restore": OWN,
    "POST /console/creatives/{id}/pause": OWN, "POST /console/creatives/{id}/resume": OWN,
    "POST /console/creatives/{id}/archive": OWN, "POST /console/creatives/{id}/unarchive": OWN,
    "GET /console/creatives/new": SENDERS, "GET /console/campaigns/{id}/creatives/new": SENDERS,
    "POST /console/campaigns/{id}/creatives/new": SENDERS,
    "GET /console/creatives/{id}/edit": OWN, "POST /console/creatives/{id}/edit": OWN,
    "GET /console/preview/{id}": ALL,
    "GET /console/review": STAFF, "GET /console/review/{id}": STAFF,
    "POST /console/review/{id}/approve": REVIEW, "POST /console/review/{id}/reject": REVIEW,
    "GET /console/live": ALL, "GET /console/explain": ALL, "GET /console/explain/{decision}": ALL,
    "GET /console/audit": ALL, "GET /console/system": ADMIN,
    "GET /console/users": ADMIN, "GET /console/users/new": ADMIN, "POST /console/users/new": ADMIN,
    "GET /console/users/{id}": ADMIN,
    **{f"POST /console/users/{{id}}/{what}": ADMIN for what in (
        "link", "role", "disable", "enable", "sign-out", "clear-second-factor", "delete",
    )},
    "GET /console/keys": ADMIN, "GET /console/keys/new": ADMIN, "POST /console/keys/new": ADMIN,
    "GET /console/keys/{id}": ADMIN,
    "POST /console/keys/{id}/rotate": ADMIN, "POST /console/keys/{id}/revoke": ADMIN,
    "GET /console/account": ALL, "POST /console/account/password": ALL,
    "GET /console/account/second-factor": ALL, "POST /console/account/second-factor": ALL,
    "POST /console/account/second-factor/remove": ALL, "POST /console/account/second-factor/codes": ALL,
    "POST /console/account/sessions/others": ALL, "POST /console/account/sessions/{id}/end": ALL,
    "GET /console/code": ANYONE, "POST /console/code": ANYONE,
    "GET /console/invitation/{secret}": ANYONE, "POST /console/invitation/{secret}": ANYONE,
    "GET /console/reset/{secret}": ANYONE, "POST /console/reset/{secret}": ANYONE,
    "GET /console/sign-in": ANYONE, "POST /console/sign-in": ANYONE,
    "GET /console/link/{secret}": ANYONE, "POST /console/link/{secret}": ANYONE, "POST /console/sign-out": ALL,
}  # fmt: skip
"""Line to the roles that may."""


class Good(NamedTuple):
    """`fields`: what a good form holds beyond what its page shows filled in. `state`: of the object that it is about.
    `file`: the member that a picture goes into. `status`: 200 where the answer shows something this once."""

    fields: Mapping[str, Any] = {}
    state: str | None = None
    file: str | None = None
    status: int = 303


NEW = {"new": "a sentence with blanks", "again": "a sentence with blanks"}
GOOD: dict[str, Good] = {
    "/console/sites/new": Good({"id": "fresh", "name": "Fresh", "origins": "https://fresh.example"}),
    "/console/sites/{id}/edit": Good({"origins": "https://news.example"}),
    "/console/sites/{id}/pause": Good(),
    "/console/sites/{id}/resume": Good(),
    "/console/sites/{id}/archive": Good(state="idle"),
    "/console/sites/{id}/unarchive": Good(state="archived"),
    "/console/sites/{site}/slots/new": Good({"name": "foot", "title": "Foot", "sizes": "300x250"}),
    "/console/sites/{site}/slots/{slot}/edit": Good({"title": "Top"}),
    "/console/sites/{site}/slots/{slot}/archive": Good(state="idle"),
    "/console/sites/{site}/slots/{slot}/unarchive": Good(state="archived"),
    "/console/sites/{site}/slots/{slot}/pause": Good(),
    "/console/sites/{site}/slots/{slot}/resume": Good(),
    "/console/advertisers/new": Good({"id": "fresh", "name": "Fresh"}),
    "/console/advertisers/{id}/edit": Good({"categories": "cars"}),
    "/console/advertisers/{id}/archive": Good(state="idle"),
    "/console/advertisers/{id}/unarchive": Good(state="archived"),
    "/console/campaigns/new": Good({"name": "Fresh", "advertiser": "acme", "slots": ["news/top"]}),
    "/console/campaigns/{id}/edit": Good({"name": "Tea for all"}),
    "/console/campaigns/{id}/clone": Good({"name": "Tea again"}),
    "/console/campaigns/{id}/archive": Good({"together": "1"}),
    "/console/campaigns/{id}/unarchive": Good(state="archived"),
    "/console/campaigns/{id}/pause": Good(),
    "/console/campaigns/{id}/resume": Good(),
    "/console/campaigns/{id}/report/links": Good({"note": "For them", "days": "30"}, status=200),
    "/console/campaigns/{id}/report/links/{share}/revoke": Good(),
    "/console/campaigns/{id}/creatives/new": Good(
        {"kind": "image", "name": "Cup", "alt": "A cup", "click_url": "https://shop.example/cup"}, file="file"
    ),
    "/console/creatives/{id}/edit": Good({"title": "More tea"}, "approved"),
    "/console/creatives/{id}/revisions/{revision}/restore": Good(state="approved"),
    "/console/creatives/{id}/pause": Good(state="approved"),
    "/console/creatives/{id}/resume": Good(state="paused"),
    "/console/creatives/{id}/archive": Good(state="approved"),
    "/console/creatives/{id}/unarchive": Good(state="archived"),
    "/console/review/{id}/approve": Good(state="pending"),
    "/console/review/{id}/reject": Good({"reason": "Too loud."}, "pending"),
    "/console/users/new": Good({"name": "somebody", "role": "reader"}, status=200),
    "/console/users/{id}/link": Good({"for": "reset"}, status=200),
    "/console/users/{id}/role": Good({"role": "reader", "advertiser": ""}),
    **{f"/console/users/{{id}}/{what}": Good() for what in ("disable", "sign-out", "clear-second-factor", "delete")},
    "/console/users/{id}/enable": Good(),
    "/console/keys/new": Good({"name": "of a program", "role": "reader"}, status=200),
    "/console/keys/{id}/rotate": Good({"grace_hours": "1"}, status=200),
    "/console/keys/{id}/revoke": Good(),
    "/console/account/password": Good({**NEW, "old": "a sentence"}),
    "/console/account/second-factor": Good({"code": "123456", "password": "a sentence"}, status=422),
    "/console/account/second-factor/remove": Good({"password": "a sentence"}),
    "/console/account/second-factor/codes": Good({"password": "a sentence"}, status=422),
    "/console/account/sessions/others": Good(),
    "/console/account/sessions/{id}/end": Good(),
    "/console/code": Good({"code": "123456"}),
    "/console/invitation/{secret}": Good({"password": "a sentence with blanks", "again": "a sentence with blanks"}),
    "/console/reset/{secret}": Good({"password": "a sentence with blanks", "again": "a sentence with blanks"}),
    "/console/sign-in": Good({"name": "nobody", "password": "a long sentence"}),
    "/console/link/{secret}": Good(),
    "/console/sign-out": Good(),
}
"""By path."""
IN_AND_OUT = (
    "/console/sign-in", "/console/link/", "/console/sign-out", "/console/code", "/console/invitation/",
    "/console/reset/",
)  # fmt: skip
"""Pages that begin or end a session: their forms have tests of their own."""
RENEWING = ("/console/account/password", "/console/account/sessions/")
"""Forms after which their sender has another session, or none."""
UNLINKED = ("/console/explain/{decision}",)
"""Pages to which something leads for a while only."""
