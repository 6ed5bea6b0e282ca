"""Slots in Jinja2 templates: `{{ slot("top") }}`, one call for a whole page, or a block with the page's own fallback.

    install(env, base_url="http://127.0.0.1:8000", site="news")

    {{ slot("top", labels=["politics"], headers=request.headers, address=request.client.host) }}

    {% set filled = page(["header", "top"], sizes={"top": "728x90"}) %}
    {{ filled["top"] }}

    {% slot "top", labels=post.labels, size="728x90" %}<a href="/letter">Our letter</a>{% endslot %}

The body of a block is only rendered where it is needed; in it and as `fallback` of the globals, markup is left as it
is. In async environments the block does not hold up the event loop; `aslot` and `apage` are the globals that do not.
What may be said in a call, and what a page gets from a server that is slow or away, is in `client`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from jinja2 import Environment, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from markupsafe import Markup

from .client import AsyncFetch, Client, Fetch, Filled, Reader
from .markup import without


class Slots:
    """What `install` puts into templates: `slot` and `page`, and `aslot` and `apage` for async ones. None raises."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def slot(self, name: str, **context: Any) -> Markup:
        """The snippet of one slot, or its fallback when the server has nothing to show."""
        return Markup(self.client.slot(name, **context))  # noqa: S704 (our own server's HTML)

    def page(self, slots: Iterable[str] = (), **context: Any) -> Filled[Markup]:
        """One call for several slots, keyed as asked (`below-post:2` is a second of its kind); none named: all."""
        return _markup(self.client.page(slots, **context))

    async def aslot(self, name: str, **context: Any) -> Markup:
        return Markup(await self.client.aslot(name, **context))  # noqa: S704 (our own server's HTML)

    async def apage(self, slots: Iterable[str] = (), **context: Any) -> Filled[Markup]:
        return _markup(await self.client.apage(slots, **context))


class SlotBlock(Extension):
    """`{% slot NAME, key=value %}...{% endslot %}`, with or without the comma. `install` adds it."""

    tags = {"slot"}  # noqa: RUF012 (as Jinja2 declares it)

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        name = parser.parse_expression()
        context: list[nodes.Keyword] = []
        while parser.stream.current.type != "block_end":
            parser.stream.skip_if("comma")
            key = parser.stream.expect("name").value
            parser.stream.expect("assign")
            context.append(nodes.Keyword(key, parser.parse_expression(), lineno=line))
        body = parser.parse_statements(("name:endslot",), drop_needle=True)
        fill = "_afill" if self.environment.is_async else "_fill"
        return nodes.CallBlock(self.call_method(fill, [name], context, lineno=line), [], [], body).set_lineno(line)

    def _fill(self, name: str, *, caller: Callable[[], str], **context: Any) -> Markup:
        answer = _of(self.environment).client.snippet(name, **context)
        return _shown(name, answer, context, caller() if not answer else "")

    async def _afill(self, name: str, *, caller: Callable[[], Any], **context: Any) -> Markup:
        answer = await _of(self.environment).client.asnippet(name, **context)
        return _shown(name, answer, context, await caller() if not answer else "")


def install(
    env: Environment,
    *,
    base_url: str,
    site: str,
    fetch: Fetch | None = None,
    timeout_s: float = 0.05,
    key: str | None = None,
    afetch: AsyncFetch | None = None,
    reader: Reader = dict,
) -> Slots:
    """Adds the globals `slot`, `page`, `aslot` and `apage` and the block `slot` to `env`; ValueError with everything
    that is wrong with the settings. `key`: one with the scope `delivery`. `reader`: what is known of the request at
    hand, such as `{"headers": ..., "address": ...}`, which a call may override. `fetch` and `afetch` take the place
    of HTTP."""
    client = Client(base_url, site, timeout_s=timeout_s, key=key, reader=reader, fetch=fetch, afetch=afetch)
    slots = Slots(client)
    env.add_extension(SlotBlock)
    env.extend(filled_by=slots)
    env.globals.update(slot=slots.slot, page=slots.page, aslot=slots.aslot, apage=slots.apage)
    return slots


def _of(env: Environment) -> Slots:
    slots: Slots = env.filled_by  # type: ignore[attr-defined]  # put there by `install`
    return slots


def _shown(name: str, answer: str | None, context: dict[str, Any], body: str) -> Markup:
    """A snippet, or what stands without one; the template has escaped the body already, if it escapes at all."""
    own = context | {"fallback": Markup(body)}  # noqa: S704 (of the template itself)
    return Markup(answer or without(name, answer, own))  # noqa: S704 (our own server's HTML)


def _markup(filled: Filled[Any]) -> Filled[Markup]:
    found = Filled({name: Markup(html) for name, html in filled.items()})  # noqa: S704 (our own server's HTML)
    found.seen = filled.seen
    return found
