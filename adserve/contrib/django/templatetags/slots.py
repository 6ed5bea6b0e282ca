"""`{% slot NAME key=value %}...{% endslot %}`, and `{% page_slots NAME NAME key=value as filled %}` for one call.

The body of a block is only rendered where it is needed, and stands as the template has escaped it.
"""

from __future__ import annotations

from typing import Any

from django import template
from django.template.base import FilterExpression, Node, NodeList, Parser, Token, token_kwargs
from django.template.context import Context
from django.utils.safestring import SafeString, mark_safe

from ...client import Filled
from ...markup import Html, without
from .. import page, snippet

register = template.Library()


class SlotNode(Node):
    """A block."""

    def __init__(self, name: FilterExpression, context: dict[str, FilterExpression], own: NodeList) -> None:
        self.name, self.context, self.nodelist = name, context, own

    def render(self, context: Context) -> SafeString:
        name = self.name.resolve(context)
        known = {key: value.resolve(context) for key, value in self.context.items()}
        answer = snippet(context.get("request"), name, **known)
        if not answer:
            own = known | {"fallback": mark_safe(self.nodelist.render(context))}  # noqa: S308 (of the template itself)
            answer = without(name, answer, own)
        return mark_safe(answer)  # noqa: S308 (our own server's HTML)


@register.tag("slot")
def slot_tag(parser: Parser, token: Token) -> SlotNode:
    tag, *words = token.split_contents()
    name, rest = words[:1], words[1:]
    context = token_kwargs(rest, parser)
    if not name or rest:
        raise template.TemplateSyntaxError(f'{tag} takes the name of a slot and key=value, as in {{% {tag} "top" %}}')
    own = parser.parse((f"end{tag}",))
    parser.delete_first_token()
    return SlotNode(parser.compile_filter(name[0]), context, own)


@register.simple_tag(takes_context=True)
def page_slots(context: Context, *names: str, **known: Any) -> Filled[Html]:
    """One call for several slots; none named: all."""
    return page(context.get("request"), names, **known)
