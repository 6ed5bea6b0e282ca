"""`adserve demo`: a seeded catalog, a week of synthetic traffic, and the two pages."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvloop
from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from adserve import logs
from adserve.contrib.jinja2 import install
from adserve.core.access import OPERATOR
from adserve.demo.catalog import ADVERTISERS, CAMPAIGNS, CREATIVES, SITE, SLOTS
from adserve.demo.pages import blogger_page, picture, preview_page, render_page, render_picks
from adserve.demo.picks import picks
from adserve.demo.pictures import draw
from adserve.demo.traffic import seed_week
from adserve.errors import AdserveError
from adserve.flows import manage, review, submit
from adserve.flows import users as people
from adserve.flows.report import report
from adserve.http import listen
from adserve.opening import store_of
from adserve.serving import say, serve
from adserve.settings import Settings, load
from adserve.stopping import run
from adserve.store.embedded import alone
from adserve.web.preview import Previews
from adserve.wiring import Running

ACTOR = "demo"
MARK = "demo"
"""A file that says that a data dir is a demo's."""
SYNTHETIC = "(figures before today are synthetic)"
PAGE_TIMEOUT_S = 1.0
"""The demo's page may wait longer than a real one: its first call also warms the process up."""


class NotTheDemos(AdserveError):
    """What the demo would write into, or forget, is not its own."""

    code = "not_the_demos"
    exit_code = 1


def demo(flags: Mapping[str, Any], environment: Mapping[str, str], *, reset: bool = False) -> None:
    """Serves the demo until it is stopped; without a data dir in a throw-away one."""
    given = flags.get("data_dir") or environment.get("ADSERVE_DATA_DIR")
    with ExitStack() as stack:  # the throw-away one goes with the demo, also with one that never began
        folder = given or stack.enter_context(TemporaryDirectory(prefix="adserve-demo-", ignore_cleanup_errors=True))
        _demo(flags, environment, Path(folder), kept=bool(given), reset=reset)


def _demo(flags: Mapping[str, Any], environment: Mapping[str, str], data_dir: Path, *, kept: bool, reset: bool) -> None:
    given_key = environment.get("ADSERVE_ADMIN_KEY")
    admin_key = given_key or f"demo-{secrets.token_urlsafe(24)}"
    settings = load({**flags, "data_dir": data_dir, "admin_key": admin_key}, environment)
    logs.configure(settings.log_format)
    _check(settings, kept=kept, reset=reset)
    sock = listen(settings.host, settings.port)
    if reset and kept:
        _forget(data_dir)
    if settings.redis_url is None:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data_dir / MARK).touch()

    async def prepare(held: Running) -> tuple[Sequence[BaseRoute], Sequence[str]]:
        say("making pictures, a catalog and a week of figures: some seconds, the first time")
        await seed(held)
        origin = settings.own_origin
        lines = [
            f"sign in    {await console_link(held)}  (signs in once, within an hour)",
            f"page       {origin}/demo/          filled by the server's template",
            f"page       {origin}/demo/blogger/  filled by the tag alone",
            f"report     {origin}/demo/report.csv by creative, {origin}/demo/slots.csv by slot",
            f"kept       {'for the next start; --reset forgets it' if kept else 'until the demo stops'}",
        ]
        if not given_key:
            lines.append(f"api key    {admin_key}  (admin, for this run)")
        return pages(held, origin), lines

    with store_of(settings) as (url, store):
        try:
            run(serve(settings, url, store, sock, prepare), uvloop.new_event_loop)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not leave the store behind


def _check(settings: Settings, *, kept: bool, reset: bool) -> None:
    """The demo keeps out of what is somebody's own: it takes a data dir that is new or a demo's. NotTheDemos."""
    data_dir = settings.data_dir
    if settings.redis_url is not None:
        if reset:
            raise NotTheDemos("--reset forgets a data dir; the store of --redis-url has to be emptied by hand")
        if not kept and settings.secret is None and settings.secret_file is None:
            raise NotTheDemos(
                "with --redis-url the demo needs --data-dir or ADSERVE_SECRET too: the store remembers the secret, "
                "and a throw-away one would be gone at the next start"
            )
    elif (data_dir / "store").exists() and not (data_dir / MARK).exists():
        raise NotTheDemos(f"{data_dir} holds a service's data, not a demo's: give the demo a --data-dir of its own")


def _forget(data_dir: Path) -> None:
    """Removes what the demo keeps in a data dir that nobody uses, and nothing else that lies there. The
    lock files stay: they are what tells whether somebody does."""
    if not data_dir.exists():
        return
    with alone(data_dir):
        for name in ("store", "media", "spool", "secret"):
            path = data_dir / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


async def seed(held: Running) -> None:
    """The demo's catalog and week, once per data dir."""
    services = held.services
    sites = await services.catalog.list("site")
    if sites:
        if held.settings.redis_url is None or any(getattr(site, "name", "").endswith(SYNTHETIC) for site in sites):
            return
        raise NotTheDemos(f"the store holds a site {sites[0].id} of somebody else: give the demo a store of its own")
    await manage.put_thing(services, "site", SITE["id"], {**SITE, "name": f"{SITE['name']} {SYNTHETIC}"}, actor=ACTOR)
    for slot in SLOTS:
        await manage.put_thing(services, "slot", f"{SITE['id']}/{slot['name']}", slot, actor=ACTOR)
    for advertiser in ADVERTISERS:
        await manage.put_thing(services, "advertiser", advertiser["id"], advertiser, actor=ACTOR)
    for campaign in CAMPAIGNS:
        await manage.put_thing(services, "campaign", campaign["id"], campaign, actor=ACTOR)
    for creative in CREATIVES:
        width, height = map(int, creative["size"].split("x"))
        data = await asyncio.to_thread(draw, creative["brand"], width, height)
        body = {name: creative[name] for name in ("name", "weight", "alt", "click_url")}
        made = await submit.submit(services, creative["campaign"], {**body, "kind": "image"}, data, actor=ACTOR)
        if creative["state"] == "approved":
            await review.move(services, made.id, "approve", actor=ACTOR)
    await seed_week(held)


async def console_link(held: Running) -> str:
    """A link by which an admin `demo` signs in once; an older one ends."""
    services = held.services
    user = await services.users.by_name(ACTOR)
    if user is None:
        user, _ = await people.invite(services, {"name": ACTOR, "role": "admin"}, actor=ACTOR)
    _, secret = await people.make_link(services, user.id, "sign_in", actor=ACTOR)
    return people.link_url(held.settings.own_origin, "sign_in", secret)


def pages(held: Running, origin: str) -> list[BaseRoute]:
    """The demo's routes."""
    slots = install(Environment(autoescape=True), base_url=origin, site=SITE["id"], timeout_s=PAGE_TIMEOUT_S)

    async def page(request: Request) -> Response:
        """The page as a site's own template would make it: one call to the service over HTTP."""
        filled = await slots.apage(headers=dict(request.headers))
        return HTMLResponse(render_page(filled, await picks(held)), headers=_PAGE)

    async def blogger(_: Request) -> Response:
        return HTMLResponse(blogger_page(), headers=_PAGE)

    async def drawn(request: Request) -> Response:
        data = await asyncio.to_thread(picture, request.path_params["name"])
        return Response(data, 200, media_type="image/png") if data else Response("not found\n", 404)

    async def table(_: Request) -> Response:
        return HTMLResponse(render_picks(await picks(held)), headers=_PAGE)

    async def by_slot(_: Request) -> Response:
        return await _csv(held, "day,slot")

    async def by_creative(_: Request) -> Response:
        return await _csv(held, "day,slot,creative")

    async def home(_: Request) -> Response:
        return RedirectResponse("/demo/", 307)

    return [
        Route("/", home),
        Route("/demo/", page),
        Route("/demo/blogger/", blogger),
        Route("/demo/picks.html", table),
        Route("/demo/slots.csv", by_slot),
        Route("/demo/report.csv", by_creative),
        Route("/demo/pictures/{name}", drawn),
        *Previews(held.services, held.worker, preview_page).routes(),
    ]


_FRESH = {"Cache-Control": "no-store"}
_PAGE = {**_FRESH, "Content-Security-Policy": "base-uri 'none'; object-src 'none'; frame-ancestors 'none'"}
"""Not `default-src`: the point of these pages is to look like a site's own, with its styles and our script."""


async def _csv(held: Running, by: str) -> Response:
    """The demo site's own report, open because the demo is. Requests belong to slots: a split by creative has none."""
    text = await report(held.services, {"site": SITE["id"], "by": by, "format": "csv"}, OPERATOR)
    return Response(str(text), 200, _FRESH, "text/csv; charset=utf-8")
