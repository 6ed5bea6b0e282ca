"""`{% slot %}...{% endslot %}` in Jinja2 templates."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2 import Environment, StrictUndefined, TemplateSyntaxError
from markupsafe import Markup

from adserve.contrib.jinja2 import install
from tests.contrib.site import SNIPPET, Site


def env_of(site: Site, **options: Any) -> Environment:
    env = Environment(autoescape=True, undefined=StrictUndefined, **options)
    install(env, base_url=site.url, site="news", timeout_s=5)
    return env


def test_a_block_is_the_snippet_or_the_page_s_own(server: Site) -> None:
    """The global of the same name stays what it was."""
    env = env_of(server)
    shown = env.from_string('{% slot "top" %}own{% endslot %}|{% slot "empty" %}own{% endslot %}|{{ slot("top") }}')
    assert shown.render() == f"{SNIPPET}|own|{SNIPPET}"


@pytest.mark.parametrize("words", ['name, labels=labels, size="728x90"', 'name labels=labels size="728x90"'])
def test_its_words_are_expressions_with_commas_or_without(server: Site, words: str) -> None:
    template = env_of(server).from_string(f"{{% slot {words} %}}{{% endslot %}}")
    assert template.render(name="to" + "p", labels=["a", "b"]) == SNIPPET
    assert server.query() == {"labels": ["a,b"]}


def test_the_body_is_rendered_only_where_it_is_needed(server: Site) -> None:
    """What it costs is not spent for nothing, and what it lacks fails nowhere else."""
    called: list[int] = []

    def own() -> str:
        called.append(1)
        return "x"

    env = env_of(server)
    template = env.from_string("{% slot name %}{{ own() }}{% endslot %}")
    assert template.render(name="top", own=own) == SNIPPET
    assert template.render(name="top") == SNIPPET  # undefined would raise
    assert not called
    assert template.render(name="empty", own=own) == "x"
    assert called == [1]


def test_the_body_is_escaped_as_the_template_escapes(server: Site) -> None:
    """Its own markup stands, data is escaped once, and what is markup already is not; without escaping nothing is."""
    body = "{% slot 'empty' %}<i>{{ text }}{{ markup }}</i>{% endslot %}"
    values = {"text": "<&", "markup": Markup("<b>")}
    assert env_of(server).from_string(body).render(values) == "<i>&lt;&amp;<b></i>"
    plain = Environment(autoescape=False)
    install(plain, base_url=server.url, site="news", timeout_s=5)
    assert plain.from_string(body).render(values) == "<i><&<b></i>"


def test_without_the_server_the_body_waits_in_the_tag_s_template(server: Site) -> None:
    server.broken = True
    template = env_of(server).from_string('{% slot "top" size="728x90" labels=["a"] %}<i>{{ "<" }}</i>{% endslot %}')
    assert template.render() == (
        '<div data-slot="top" data-size="728x90" style="min-height:108px" data-labels="a">'
        "<template><i>&lt;</i></template></div>"
    )


def test_a_hostile_name_prints_nothing(server: Site, caplog: pytest.LogCaptureFixture) -> None:
    template = env_of(server).from_string("{% slot name %}own{% endslot %}")
    for name in ('"><script>', "../x", None, 5, "top\r\n"):
        assert template.render(name=name) == ""
    assert len(caplog.records) == 5
    assert not server.asked


async def test_in_async_environments_it_is_awaited(server: Site) -> None:
    """Body and all; also when such a template is rendered synchronously, as Jinja2 allows outside of a loop."""
    env = env_of(server, enable_async=True)

    async def own() -> str:
        return "<"

    template = env.from_string("{% slot name %}<i>{{ own() }}</i>{% endslot %}")
    assert await template.render_async(name="top", own=own) == SNIPPET
    assert await template.render_async(name="empty", own=own) == "<i>&lt;</i>"
    server.broken = True
    assert "<template><i>&lt;</i></template>" in await template.render_async(name="top", own=own)


def test_an_async_template_may_be_rendered_synchronously(server: Site) -> None:
    assert env_of(server, enable_async=True).from_string("{% slot 'top' %}{% endslot %}").render() == SNIPPET


def test_blocks_stand_in_loops_macros_and_each_other(server: Site) -> None:
    env = env_of(server)
    inner = "{% slot one %}{{ one }}{% slot 'top' %}{% endslot %}{% endslot %}"
    inner = "{% for one in ['empty', 'top'] %}" + inner + ",{% endfor %}"
    assert env.from_string(inner).render() == f"empty{SNIPPET},{SNIPPET},"
    macro = "{% macro place(name) %}{% set own = caller() %}{% slot name %}{{ own }}{% endslot %}{% endmacro %}"
    assert env.from_string(macro + "{% call place('empty') %}x{% endcall %}").render() == "x"


@pytest.mark.parametrize(
    "source",
    ["{% slot %}{% endslot %}", '{% slot "a" 5 %}{% endslot %}', '{% slot "a" x= %}{% endslot %}', '{% slot "a" %}'],
)
def test_a_slip_is_a_syntax_error(server: Site, source: str) -> None:
    with pytest.raises(TemplateSyntaxError):
        env_of(server).from_string(source)


def test_an_overlay_has_it_too(server: Site) -> None:
    assert env_of(server).overlay(trim_blocks=True).from_string("{% slot 'top' %}{% endslot %}").render() == SNIPPET
