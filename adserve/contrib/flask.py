"""Slots in Flask: the globals and the block of the Jinja2 helper, which take headers and address from the request.

    app.config.update(ADSERVE_BASE_URL="http://127.0.0.1:8000", ADSERVE_SITE="news")
    Slots(app)

    {% slot "top", labels=post.labels, size="728x90" %}<a href="/letter">Our letter</a>{% endslot %}

    ADSERVE_BASE_URL   the server's address
    ADSERVE_SITE       the id of the site
    ADSERVE_TIMEOUT_S  0.05; seconds for one call
    ADSERVE_KEY        None; an API key with the scope `delivery`, so that the reader's address is believed

The address is `request.remote_addr`: behind a proxy set up Werkzeug's `ProxyFix`, which knows whom to trust.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, current_app, has_request_context, request

from . import jinja2
from .client import problems_of


class Slots:
    """The extension. In views, `slots.of(current_app)` has `slot`, `page`, `aslot` and `apage`."""

    def __init__(self, app: Flask | None = None) -> None:
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """ValueError with everything that is wrong with the configuration."""
        app.config.setdefault("ADSERVE_TIMEOUT_S", 0.05)
        app.config.setdefault("ADSERVE_KEY", None)
        settings = {name: app.config.get(f"ADSERVE_{name.upper()}") for name in _SETTINGS}
        if problems := problems_of(**settings):
            raise ValueError("; ".join(f"ADSERVE_{name.upper()} {problem}" for name, problem in problems.items()))
        app.extensions["slots"] = jinja2.install(app.jinja_env, reader=_reader, **settings)  # type: ignore[arg-type]

    def of(self, app: Flask | None = None) -> jinja2.Slots:
        """What serves an application, the current one without another."""
        slots: jinja2.Slots = (app or current_app).extensions["slots"]
        return slots


_SETTINGS = ("base_url", "site", "timeout_s", "key")


def _reader() -> dict[str, Any]:
    if not has_request_context():
        return {}
    return {"headers": request.headers, "address": request.remote_addr}
