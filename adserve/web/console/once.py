"""Forms whose answer shows a secret this once: sent again, as by a reload of that answer, they make nothing."""

from __future__ import annotations

import contextlib
from functools import wraps

from starlette.responses import Response

from adserve.errors import AdserveError, Conflict, InUse, StoreError
from adserve.store.client import REPLY_ERRORS
from adserve.web.console.page import Call, Endpoint

SENT = (
    "this form was sent before, and what it made is shown by no page again; nothing was made now: send it once more to "
    "make another"
)


def once(take: Endpoint) -> Endpoint:
    """Of an endpoint whose form carries `once` of `parts.html.j2`: Conflict when that very form was sent before. What
    is refused makes nothing and may be sent again; a call whose end nobody knows counts as sent."""

    @wraps(take)
    async def endpoint(call: Call) -> Response:
        if not call.form.text("once"):
            return await take(call)
        records = call.services.once
        try:
            claim = await records.claim(call.account.id, f"form {call.form.text('once')}", call.request.url.path, "")
        except InUse:
            raise Conflict(SENT) from None
        if isinstance(claim, str) or claim.again:
            raise Conflict(SENT)
        try:
            answer = await take(call)
        except AdserveError as refused:
            if not isinstance(refused, StoreError):
                with contextlib.suppress(*REPLY_ERRORS):
                    await records.give_up(claim, forget=True)
            raise
        with contextlib.suppress(*REPLY_ERRORS):  # the claim itself keeps it from being made again
            await records.keep(claim, "")
        return answer

    return endpoint
