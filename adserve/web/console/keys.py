"""API keys: made, changed for another secret, revoked. A secret stands on one page, once."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from adserve.core.access import DELIVERY, Account
from adserve.errors import NotFound
from adserve.flows import keys
from adserve.web.console.form import whole
from adserve.web.console.once import once
from adserve.web.console.page import ADMIN, Call, Page, shows_again
from adserve.web.console.table import Cell, Column, Table, show_table
from adserve.web.console.users import advertisers, body_of, roles

KEYS = "/console/keys"
ONE = f"{KEYS}/{{id}}"
COLUMNS = (
    Column("Name"),
    Column("Begins with", "How its secret begins: all that is kept of it, beside a digest."),
    Column("Role"),
    Column("Advertiser"),
    Column("Scopes", "delivery: the client address that it forwards is believed."),
    Column("State"),
    Column("Expires"),
    Column("Last used", "Give or take a minute, in UTC."),
    Column("Made"),
)
EXPIRIES = [("", "never"), ("30d", "in 30 days"), ("90d", "in 90 days"), ("365d", "in a year")]
GRACES = [("0", "ends now"), ("1", "works 1 hour more"), ("24", "works 24 hours more"), ("168", "works 7 days more")]


def state(call: Call, key: Account) -> str:
    """`active`, or `expired`."""
    return "expired" if key.expires is not None and key.expires <= call.services.clock() else "active"


async def list_keys(call: Call) -> Response:
    used = await call.services.accounts.used()
    rows = []
    for key in await call.services.accounts.list():
        shown, now = key.as_json(used.get(key.id)), state(call, key)
        rows.append(
            (
                Cell(key.name or key.id, call.url(f"{KEYS}/{key.id}")),
                key.prefix,
                key.role or "",
                key.advertiser or "",
                ", ".join(key.scopes),
                Cell(now, state=now if now == "active" else "disabled"),
                shown["expires"] or "never",
                shown["last_used"] or "never",
                shown["created"],
            )
        )
    none = "No key yet: programs that manage campaigns or ask for slots on behalf of readers use one."
    return show_table(call, "keys.html.j2", Table("keys", "All API keys", COLUMNS, rows, none), title="API keys")


async def ask_key(call: Call) -> Response:
    return call.show(
        "key-form.html.j2",
        title="New API key",
        roles=[("", "none: for delivery alone"), *roles()],
        advertisers=await advertisers(call),
        expiries=EXPIRIES,
    )


@shows_again(ask_key)
@once
async def make_key(call: Call) -> Response:
    form = call.form
    body: dict[str, Any] = body_of(call, "role", "advertiser")
    body |= {"name": form.text("name"), "expires": form.text("until") or form.text("expires") or None}
    body["scopes"] = [DELIVERY] if form.on("delivery") else []
    made, secret = await keys.create_key(call.services, body, actor=call.actor)
    return _secret(call, made, secret)


def _secret(call: Call, key: Account, secret: str) -> Response:
    """The page that shows a secret, which no other page does again."""
    asks = "/api/v1/sites" if key.role in ("admin", "reviewer", "reader") else "/api/v1/campaigns"
    line = f"curl -H 'Authorization: Bearer {secret}' '{call.origin}{asks if key.role else '/v1/slots/SITE/SLOT'}'"
    return call.show("key-secret.html.j2", title=key.name or key.id, key=key, secret=secret, line=line)


async def _one(call: Call) -> Account:
    found = [key for key in await call.services.accounts.list() if key.id == call.path["id"]]
    if not found:
        raise NotFound("there is no key with this id")
    return found[0]


async def show_key(call: Call) -> Response:
    key = await _one(call)
    used = await call.services.accounts.used()
    shown, now = key.as_json(used.get(key.id)), state(call, key)
    return call.show("key.html.j2", title=key.name or key.id, key=key, shown=shown, state=now, graces=GRACES)


@shows_again(show_key)
@once
async def rotate_key(call: Call) -> Response:
    text = call.form.text("grace_hours")
    hours = whole(text, 4)
    body = {"grace_hours": text if hours is None else hours}
    return _secret(call, *await keys.rotate_key(call.services, call.path["id"], body, actor=call.actor))


async def revoke_key(call: Call) -> Response:
    await call.services.accounts.revoke(call.path["id"], actor=call.actor)
    return call.go(KEYS, "revoked")


PAGES = (
    Page("GET", KEYS, list_keys, ADMIN, nav="API keys"),
    Page("GET", f"{KEYS}/new", ask_key, ADMIN),
    Page("POST", f"{KEYS}/new", make_key, ADMIN),
    Page("GET", ONE, show_key, ADMIN),
    Page("POST", f"{ONE}/rotate", rotate_key, ADMIN),
    Page("POST", f"{ONE}/revoke", revoke_key, ADMIN),
)
