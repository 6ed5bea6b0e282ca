"""`Idempotency-Key`: a call that was sent again gets the answer of the first, and makes nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from adserve.core.access import Account
from adserve.errors import AdserveError, Invalid, Problem, StoreError, StoreUnavailable
from adserve.flows.services import Services
from adserve.store.client import REPLY_ERRORS

IDEMPOTENCY_KEY = "Idempotency-Key"
KEY_PATTERN = "^[!-~]{1,255}$"
_KEY = re.compile(r"[!-~]{1,255}")


@dataclass(slots=True)
class Making:
    """What a call makes: under which `id`, whether an earlier one may have made it, and whether it is `made` by now."""

    id: str
    again: bool = False
    made: bool = False


async def once(
    request: Request,
    services: Services,
    account: Account,
    said: Any,
    id_: str,
    make: Callable[[Making], Awaitable[Response]],
    kept: Callable[[str, Response], Response] = lambda _, answer: answer,
) -> Response:
    """The answer of `make`, or, to a call with the Idempotency-Key of an earlier one, what was `kept` of the answer to
    that. `said`: what the call says in its body, as JSON takes it: forms are sent again with another boundary. What
    is refused makes nothing and leaves the key free."""
    key = _key(request)
    if key is None:
        return await make(Making(id_))
    claim = await services.once.claim(account.id, key, _fingerprint(request, said), id_)
    if isinstance(claim, str):
        return _response(claim)
    making = Making(claim.id, claim.again)
    try:
        answer = await make(making)
    except (AdserveError, *REPLY_ERRORS) as failure:
        refused = isinstance(failure, AdserveError) and not isinstance(failure, StoreError)
        with contextlib.suppress(*REPLY_ERRORS):
            await services.once.give_up(claim, forget=refused and not (making.made or making.again))
        raise
    with contextlib.suppress(*REPLY_ERRORS):  # it is made: the claim ends by itself, and names it
        await services.once.keep(claim, _text(kept(making.id, answer)))
    return answer


def _key(request: Request) -> str | None:
    given = request.headers.getlist(IDEMPOTENCY_KEY)
    if not given:
        return None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise Invalid([Problem(f"/{IDEMPOTENCY_KEY}", "takes 1 to 255 visible ASCII characters, in one header line")])
    return given[0]


def _fingerprint(request: Request, said: Any) -> str:
    call = [request.method, request.url.path, sorted(request.query_params.multi_items()), said]
    return hashlib.blake2b(json.dumps(call, sort_keys=True).encode(), digest_size=16).hexdigest()


def _text(answer: Response) -> str:
    return json.dumps([answer.status_code, dict(answer.headers), bytes(answer.body).decode()])


def _response(text: str) -> Response:
    try:
        status, headers, body = json.loads(text)
        return Response(body, status, headers)
    except (AttributeError, TypeError, ValueError) as problem:
        raise StoreUnavailable("an answer that was kept cannot be read") from problem
