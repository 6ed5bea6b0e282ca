"""The ASGI application over one running worker."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute

from adserve.flows.load import warnings_of
from adserve.metrics.publisher import Publisher
from adserve.store.limits import Allowance, Limiter
from adserve.web.api.throttle import Throttle
from adserve.web.console.gate import build_console
from adserve.web.console.page import Console
from adserve.web.console.pages import PAGES
from adserve.web.console.review import QUEUE, waiting
from adserve.web.console.shared import SharedPage
from adserve.web.delivery import Delivery
from adserve.web.frames import Frames
from adserve.web.headers import SafeHeaders
from adserve.web.pairs import Pairs
from adserve.web.preview import Previews, news_page
from adserve.web.public import Health, Public
from adserve.web.routes import build_api
from adserve.wiring import Running


def create_app(
    running: Running,
    *,
    extra: Sequence[BaseRoute] = (),
    warnings: tuple[str, ...] = (),
    publisher: Publisher | None = None,
    mounted: bool = False,
) -> Delivery:
    """Delivery in front, then the public routes, the management API and `extra` (the demo). `publisher`: of this
    worker among others. `mounted`: within another application, whose host's transport is not ours to say."""
    publisher = publisher or Publisher.alone()
    publisher.begin(running)
    health = Health(
        lambda: running.store_up and running.admission.given,
        lambda: (*warnings, *running.admission.warnings, *warnings_of(running.worker.catalog)),
    )
    services, settings = running.services, running.settings
    throttle = Throttle(
        Limiter(services.client, services.keys, services.clock, lambda: running.store_up),
        running.worker,
        Allowance(settings.api_rate, settings.api_burst),
        Allowance(settings.api_rate_without_key, settings.api_burst_without_key),
    )
    known = running.services.accounts.known
    frames = Frames(running.worker, lambda ask, name: delivery.slot(ask, name))
    pairs = Pairs(running.worker, services.media)
    public = Public(running.worker, services.media, health, publisher.page)
    api = build_api(services, running.worker.figures, throttle)
    navigation = tuple((page.path, page.nav, page.roles) for page in PAGES if page.nav)
    counts = {QUEUE: lambda: waiting(running.worker.catalog)}
    console = Console(services, running.worker, throttle, health.store_up, health.warnings, navigation, counts)
    pages = [*build_console(console, PAGES), SharedPage(console).route()]
    previews = Previews(services, running.worker, news_page).routes()
    delivering = [*public.routes(), *frames.routes(known), *pairs.routes(known)]
    router = Starlette(
        routes=[*delivering, *extra, *previews, *pages, *api],  # the demo shows previews on its own page
        exception_handlers={Exception: _failed},
    )
    router.router.redirect_slashes = False  # it would send callers to whatever host they named
    https = not mounted and (running.settings.public_url or "").startswith("https://")
    delivery = Delivery(running.worker, SafeHeaders(router, https=https), known)
    return delivery


async def _failed(_: Request, __: Exception) -> Response:
    return PlainTextResponse("internal error\n", 500)
