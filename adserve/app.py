"""The ASGI application over one running worker."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from adserve.metrics.publisher import Publisher
from adserve.web.delivery import Delivery
from adserve.web.headers import SafeHeaders
from adserve.web.public import Health, Public
from adserve.web.routes import build_api
from adserve.wiring import Running


def create_app(
    running: Running,
    *,
    extra: Sequence[BaseRoute] = (),
    warnings: tuple[str, ...] = (),
    publisher: Publisher | None = None,
) -> ASGIApp:
    """Delivery in front, then the public routes, the management API and `extra` (the demo). `publisher`: of this
    worker among others."""
    publisher = publisher or Publisher.alone()
    publisher.begin(running)
    health = Health(
        lambda: running.store_up and running.admission.given, lambda: (*warnings, *running.admission.warnings)
    )
    public = Public(running.worker, running.services.media, health, publisher.page)
    router = Starlette(
        routes=[*public.routes(), *extra, *build_api(running.services, running.worker.figures)],
        exception_handlers={Exception: _failed},
    )
    router.router.redirect_slashes = False  # it would send callers to whatever host they named
    https = (running.settings.public_url or "").startswith("https://")
    return Delivery(running.worker, SafeHeaders(router, https=https), running.services.accounts.known)


async def _failed(_: Request, __: Exception) -> Response:
    return PlainTextResponse("internal error\n", 500)
