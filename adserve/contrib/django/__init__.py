"""Slots in Django: an app with a template tag library, settings that the system checks look at, and calls for views.

    INSTALLED_APPS = [..., "adserve.contrib.django"]
    ADSERVE = {"BASE_URL": "http://127.0.0.1:8000", "SITE": "news"}

    {% load slots %}
    {% slot "top" labels=post.labels size="728x90" %}<a href="/letter">Our letter</a>{% endslot %}

`TIMEOUT_S` (0.05) is for one call, `KEY` an API key with the scope `delivery`, so that the reader's address is
believed. Headers and address are those of the request in the context, the address that of the connection
(`REMOTE_ADDR`) and never of a header.

Templates of Django render synchronously, in an async view too, where a tag holds up the event loop for the time
limit. There, ask before rendering: `{"filled": await apage(request, ["top"])}`, and `{{ filled.top }}` in the template.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from django.http import HttpRequest

from ..client import Client, Filled
from ..markup import Html
from .settings import DEFAULTS, problems, values

log = logging.getLogger("adserve.contrib")


def slot(request: HttpRequest | None, name: str, **context: Any) -> Html:
    """The snippet of one slot, or its fallback when the server has nothing to show."""
    return _client().slot(name, **_known(request, context))


async def aslot(request: HttpRequest | None, name: str, **context: Any) -> Html:
    """The same for async views."""
    return await _client().aslot(name, **_known(request, context))


def page(request: HttpRequest | None, slots: Iterable[str] = (), **context: Any) -> Filled[Html]:
    """One call for several slots of a page; none named: all."""
    return _client().page(slots, **_known(request, context))


async def apage(request: HttpRequest | None, slots: Iterable[str] = (), **context: Any) -> Filled[Html]:
    """The same for async views."""
    return await _client().apage(slots, **_known(request, context))


def snippet(request: HttpRequest | None, name: str, **context: Any) -> str | None:
    """The server's HTML, `""` when it has nothing to show; None when it did not answer."""
    return _client().snippet(name, **_known(request, context))


def _known(request: HttpRequest | None, context: Mapping[str, Any]) -> dict[str, Any]:
    """What a call says, with the headers and address of the request at hand."""
    if request is None:
        return dict(context)
    return {"headers": request.headers, "address": request.META.get("REMOTE_ADDR"), **context}


def _client() -> Client:
    """The client of the settings as they are now; while they are wrong, one that gets no answer."""
    found = values()
    return _wrong() if problems() else _made(*(found[name] for name in DEFAULTS))


@lru_cache(maxsize=8)
def _made(base_url: str, site: str, timeout_s: float, key: str | None) -> Client:
    return Client(base_url, site, timeout_s=timeout_s, key=key)


@lru_cache(maxsize=1)
def _wrong() -> Client:
    log.error("the setting ADSERVE cannot be used, so no slot is filled: run manage.py check")
    return Client("http://unset.invalid", "unset", fetch=_unset)


def _unset(*_: object) -> str:
    raise ConnectionError("the setting ADSERVE cannot be used")
