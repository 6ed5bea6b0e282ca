"""Failures to replies: `application/problem+json` (RFC 9457), status codes in one place."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from adserve import errors as e
from adserve.web.headers import HEADERS

STATUS: dict[type[Exception], int] = {
    e.Invalid: 422,
    e.NotFound: 404,
    e.Conflict: 409,
    e.Stale: 412,
    e.Forbidden: 403,
    e.Unauthenticated: 401,
    e.TooMany: 429,
    e.TooLarge: 413,
    e.UnsupportedMedia: 415,
    e.StoreError: 503,
    e.BadToken: 400,
}
TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "Another version",
    413: "Too large",
    415: "Unsupported media type",
    422: "Invalid",
    429: "Too many requests",
    503: "Not available now",
}
CODES: dict[int, dict[str, str]] = {
    400: {"bad_body": "no JSON, a member twice, nested too deeply, or no whole form"},
    401: {"unauthenticated": "no key, a bad one or two of them"},
    403: {"forbidden": "the key's role may not"},
    404: {"not_found": "no such object or address"},
    409: {
        "conflict": "a move that the state does not allow, a parent in use, or a change by others at once",
        "idempotency_key_in_use": "a call with this `Idempotency-Key` is being made",
        "already_made": "a call with this `Idempotency-Key` made the key `id`",
    },
    412: {"stale_version": "`If-Match` names another version, or `If-None-Match` one that is there"},
    413: {"too_large": "the body is over its limit"},
    415: {"unsupported_media": "another media type, a `Content-Encoding`, or no picture of the accepted kinds"},
    422: {
        "invalid": "something in it is wrong, and `errors` has all of it",
        "idempotency_key_reused": "the `Idempotency-Key` was sent with another call before",
        "rolled_up": "a report on quarter-hours that are rolled up to days",
    },
    429: {"too_many_requests": "more calls than this key, or this network without a key, may make, or uploads at once"},
    503: {"store_unavailable": "the store does not answer", "store_error": "the store refuses"},
}
"""What a described call may answer when it fails: status to its stable codes and what they mean."""


def problem(
    status: int,
    code: str,
    detail: str,
    problems: list[e.Problem] | None = None,
    again_s: int | None = None,
    **more: str,
) -> Response:
    """One reply. `detail` never holds text of the store, a path or a traceback; it may name a member or parameter
    as the caller wrote it, so whatever takes the reply for HTML sees no tag. `again_s`: seconds after which the
    same call may succeed. `more`: further members."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "code": code,
        "detail": detail,
        **more,
    }
    if problems is not None:
        body["errors"] = [{"pointer": p.pointer, "detail": p.detail, "code": p.code} for p in problems]
    headers = dict(HEADERS)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if again_s is not None:
        headers["Retry-After"] = str(again_s)
    encoded = msgspec.json.encode(body).replace(b"<", b"\\u003c")
    return Response(encoded, status, headers, "application/problem+json")


def reply_to(failure: e.AdserveError) -> Response:
    """The reply to a known failure."""
    status = next((number for kind, number in STATUS.items() if isinstance(failure, kind)), 500)
    if status == 500:
        return problem(500, "internal", "something went wrong here; the log has more")
    problems = failure.problems if isinstance(failure, e.Invalid) else None
    more = {"id": failure.id} if isinstance(failure, e.AlreadyMade) else {}
    return problem(status, failure.code, str(failure), problems, failure.again_s, **more)
