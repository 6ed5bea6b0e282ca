"""The cookies of the console: of a session, of a browser without one, whose forms need a token too, and of a device
that signed in before, which opens nothing (`core.device`)."""

from __future__ import annotations

import hashlib
import secrets
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from adserve.core.device import DAYS
from adserve.web.client import is_loopback
from adserve.web.console.page import HOME, SIGN_IN, Call

R = TypeVar("R", bound=Response)
SESSION, VISIT, DEVICE = "__Host-adserve", "__Host-adserve-visit", "__Host-adserve-device"


def cookie(request: Request, name: str) -> str | None:
    """A cookie that came once and could be ours, whatever other cookies of the host look like."""
    pairs = [one.partition("=") for line in request.headers.getlist("cookie") for one in line.split(";")]
    found = [value.strip() for key, _, value in pairs if key.strip() == name]
    return found[0] if len(found) == 1 and 16 <= len(found[0]) <= 128 and found[0].isascii() else None


def begin_session(response: R, secret: str, max_age_s: int) -> R:
    """The cookie of a new session. Each sign-in has another, and what a browser had before is worth nothing."""
    response.set_cookie(SESSION, secret, max_age=max_age_s, secure=True, httponly=True, samesite="lax", path="/")
    return response


def end_session(response: R) -> R:
    response.delete_cookie(SESSION, secure=True, httponly=True, samesite="lax", path="/")
    return response


def keep_device(response: R, token: str) -> R:
    """Guesses elsewhere do not keep this browser out."""
    age_s = DAYS * 86_400
    response.set_cookie(DEVICE, token, max_age=age_s, secure=True, httponly=True, samesite="lax", path="/")
    return response


def new_visit() -> str:
    return secrets.token_urlsafe(24)


def begin_visit(response: R, visit: str) -> R:
    response.set_cookie(VISIT, visit, secure=True, httponly=True, samesite="strict", path="/")
    return response


def token_of(visit: str | None) -> str:
    """What the forms of a browser without a session carry; nothing without a visit."""
    if not visit:
        return ""
    return hashlib.blake2b(visit.encode(), digest_size=24, person=b"adserve-visit").hexdigest()


def keeps_cookies(call: Call) -> bool:
    """Whether the browser keeps our cookies, which want https or this machine."""
    public = call.console.worker.public_url or ""
    host = call.request.headers.get("host", "")
    return public.startswith("https://") or call.request.url.scheme == "https" or is_loopback(host)


def own_path(text: str) -> str:
    """A path of the console, with its query, out of `next`; the start page for what is none. What stands behind `?`
    leads nowhere.

    >>> own_path("/console/explain?place=news%2Ftop"), own_path("//evil.example"), own_path("/console/../")
    ('/console/explain?place=news%2Ftop', '/console/', '/console/')
    """
    path = text.partition("?")[0].lower()
    odd = any(part in path for part in ("\\", "//", "%5c", "%2f", ".."))
    plain = text.isascii() and text.isprintable() and not odd and len(text) <= 500
    return text if plain and text.startswith(HOME) and not text.startswith(SIGN_IN) else HOME
