"""The endpoints of creatives: upload, content, review, and what they were before."""

from __future__ import annotations

import hashlib
from typing import Any

from starlette.responses import Response

from adserve.core import validate as v
from adserve.core.form import Fields, Form
from adserve.core.match import Match, etag
from adserve.core.members import APPROVAL, REJECTION, RESTORATION
from adserve.core.model import Creative
from adserve.core.revisions import Shown
from adserve.core.schedule import utc_label
from adserve.errors import Invalid, NotFound, Problem
from adserve.flows import manage, review, revisions, submit
from adserve.flows.content import Parts
from adserve.web.api import body as bodies
from adserve.web.api.endpoint import FORM, JSON, PATCH, Endpoint, answers
from adserve.web.api.endpoints import Call, limit_of, next_link, reply, shown
from adserve.web.api.once import Making, once
from adserve.web.api.query import whole_from_one

SAID: dict[str, tuple[str, Fields]] = {
    "approve": ("ApprovalBody", APPROVAL),
    "reject": ("RejectionBody", REJECTION),
}
"""What a move may say: the name of its schema, and its members."""


@answers(201, 200, gives={JSON: "Creative"}, takes={FORM: "CreativeForm", JSON: "CreativeBody"}, once=True)
async def upload(call: Call) -> Response:
    """A creative: multipart with `file`, or JSON for kinds without one."""
    fields, parts = await _sent(call)
    services, actor, root = call.services, call.account.id, call.request.scope.get("root_path", "")
    trusted = call.account.role == "admin"
    if call.query.get("check") == "true":
        seen = await submit.submit(services, call.path["id"], fields, parts, actor=actor, check=True, trusted=trusted)
        return reply(await manage.public(services, seen))

    async def make(making: Making) -> Response:
        made = await submit.find_creative(services, making.id) if making.again else None
        if made is None:
            made = await submit.submit(
                services, call.path["id"], fields, parts, actor=actor, id_=making.id, trusted=trusted
            )
        making.made = True
        if call.query.get("approve") == "true" and made.version == 1:
            seen = Match(etag(made.version))  # what came in after it is approved by nobody
            made = await review.move(services, made.id, "approve", actor=actor, match=seen)
        return await shown(call, made, 201, Location=f"{root}/api/v1/creatives/{made.id}")

    said = [fields, {name: hashlib.sha256(data).hexdigest() for name, data in parts.given().items()}]
    return await once(call.request, services, call.account, said, submit.creative_id(), make)


@answers(200, gives={JSON: "Creative"}, takes=dict.fromkeys((PATCH, JSON), "CreativePatch"), if_match=True)
async def patch_creative(call: Call) -> Response:
    made = await submit.patch_creative(
        call.services, call.path["id"], call.json(),
        actor=call.account.id, match=call.match, trusted=call.account.role == "admin",
    )  # fmt: skip
    return await shown(call, made)


@answers(200, gives={JSON: "Creative"}, takes={FORM: "ContentForm", JSON: "ContentBody"}, if_match=True)
async def put_content(call: Call) -> Response:
    """New content: multipart with or without files, or JSON."""
    fields, parts = await _sent(call)
    strange = [name for name in v.members(fields) if name not in submit.WORDS]
    if strange:
        raise Invalid([Problem(v.pointer(name), "is no content", "unknown_field") for name in strange])
    made = await submit.patch_creative(
        call.services, call.path["id"], fields, parts,
        actor=call.account.id, match=call.match, trusted=call.account.role == "admin",
    )  # fmt: skip
    return await shown(call, made)


async def _sent(call: Call) -> tuple[Any, Parts]:
    """The members of a body, and its files where it is a form."""
    if bodies.is_form(call.request):
        return await bodies.as_form(call.request, call.body)
    return call.json(), Parts()


def move(action: str) -> Endpoint:
    name, fields = SAID.get(action, ("", {}))

    bare = not any(one.required for one in fields.values())

    @answers(200, gives={JSON: "Creative"}, takes={JSON: name} if name else None, if_match=True, bare=bare)
    async def endpoint(call: Call) -> Response:
        form = Form(call.json() if call.body.strip() else {})
        said = form.read(fields)
        form.finish()
        made: Creative = await review.move(
            call.services, call.path["id"], action, actor=call.account.id, match=call.match, **said
        )
        return await shown(call, made)

    return endpoint


@answers(200, gives={JSON: "Limits"})
async def limits(call: Call) -> Response:
    """What an upload has to keep to, before it is made."""
    return reply(await submit.limits(call.services, call.path["id"]))


@answers(200, gives={JSON: "Revisions"})
async def list_revisions(call: Call) -> Response:
    """Newest first; `after` is the number of the last one of the page before."""
    limit, after = limit_of(call), whole_from_one(call.query["after"]) if "after" in call.query else 0
    creative = await revisions.get_creative(call.services, call.path["id"])
    found = [
        one
        for one in await revisions.list_revisions(call.services, creative.id)
        if not after or one.revision < after
    ]
    headers = next_link(call, limit, str(found[limit - 1].revision)) if len(found) > limit else {}
    return reply({"items": [_revision(creative, one) for one in found[:limit]]}, headers=headers)


@answers(200, gives={JSON: "RevisionDetail"})
async def get_revision(call: Call) -> Response:
    """With what it changed: of the revision before it, or of the one that is asked for."""
    number = call.path["revision"]
    if not (number.isascii() and number.isdigit() and len(number) < 8):
        raise NotFound("there is no revision with this number")
    creative = await revisions.get_creative(call.services, call.path["id"])
    found = {one.revision: one for one in await revisions.list_revisions(call.services, creative.id)}
    if int(number) not in found:
        raise NotFound("there is no revision with this number")
    one = found[int(number)]
    against = whole_from_one(call.query["against"]) if "against" in call.query else one.revision - 1
    body = _revision(creative, one) | {"against": None, "changes": []}
    if one.kept is not None:
        body |= {"content": manage.content_shown(creative.kind, one.kept.content)}
        if against in found and found[against].kept is not None:
            changed = await revisions.diff(call.services, creative.id, against, one.revision)
            body |= {"against": against, "changes": [change._asdict() for change in changed]}
    else:
        body |= {"content": None}
    return reply(body)


@answers(200, gives={JSON: "Creative"}, takes={JSON: "RestorationBody"}, if_match=True)
async def restore(call: Call) -> Response:
    form = Form(call.json())
    said = form.read(RESTORATION)
    form.finish()
    made = await revisions.restore(
        call.services, call.path["id"], said["revision"],
        actor=call.account.id, match=call.match, trusted=call.account.role == "admin",
    )  # fmt: skip
    return await shown(call, made)


def _revision(creative: Creative, one: Shown) -> dict[str, Any]:
    kept, verdict = one.kept, one.verdict
    return {
        "creative": creative.id,
        "revision": one.revision,
        "state": one.state,
        "hash": one.hash,
        "at": utc_label(kept.at) if kept is not None and kept.at else None,
        "by": kept.by if kept is not None and kept.at else None,
        "reviewed": None
        if verdict is None
        else {"state": verdict.state, "at": utc_label(verdict.at), "by": verdict.by, "reason": verdict.reason},
    }
