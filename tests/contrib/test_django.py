"""Slots in a real Django project."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import django
import pytest
from django.conf import settings
from django.core import checks
from django.http import HttpRequest, HttpResponse
from django.template import Context, Template, TemplateSyntaxError, engines
from django.test import AsyncClient, Client
from django.test.utils import override_settings
from django.urls import path

from adserve.contrib.django import _made, _wrong, apage, aslot, page, slot
from tests.contrib.site import SNIPPET, Site

BLOCK = '{% load slots %}{% slot "top" labels=labels size="728x90" %}<i>{{ own }}</i>{% endslot %}'
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]


def front(request: HttpRequest) -> HttpResponse:
    return HttpResponse(engines["django"].from_string(BLOCK).render({"labels": ["a"], "own": "<"}, request))


async def later(request: HttpRequest) -> HttpResponse:
    filled = await apage(request, ["top"])
    return HttpResponse(filled["top"] + await aslot(request, "empty", fallback="<"))


urlpatterns = [path("", front), path("later", later)]


@pytest.fixture(scope="module", autouse=True)
def project() -> None:
    """Django is set up once in a process."""
    if not settings.configured:
        settings.configure(
            INSTALLED_APPS=["adserve.contrib.django"],
            TEMPLATES=TEMPLATES,
            ROOT_URLCONF=__name__,
            ALLOWED_HOSTS=["testserver"],
            SECRET_KEY="of-the-tests",
        )
        django.setup()


@pytest.fixture
def project_of(server: Site) -> Iterator[Site]:
    with override_settings(
        ROOT_URLCONF=sys.modules[__name__],
        ADSERVE={"BASE_URL": server.url, "SITE": "news", "TIMEOUT_S": 5},
    ):
        yield server


def render(source: str, **values: Any) -> str:
    return str(Template("{% load slots %}" + source).render(Context(values)))


def test_a_template_is_filled_with_the_request_s_headers_and_address(project_of: Site) -> None:
    """Of the connection: what a reader says of its address is not asked."""
    headers = {"User-Agent": "Moz", "Cookie": "s=1", "X-Forwarded-For": "6.6.6.6", "Sec-CH-UA-Mobile": "?1"}
    reply = Client(headers=headers).get("/", REMOTE_ADDR="203.0.113.9")
    assert reply.content.decode() == SNIPPET
    assert project_of.query() == {"labels": ["a"]}
    got = project_of.asked[0][1]
    assert (got["User-Agent"], got["Sec-Ch-Ua-Mobile"], got["X-Forwarded-For"]) == ("Moz", "?1", "203.0.113.9")
    assert "Cookie" not in got


async def test_async_views_ask_before_they_render(project_of: Site) -> None:
    reply = await AsyncClient().get("/later", headers={"User-Agent": "Moz"})
    assert reply.content.decode().startswith(SNIPPET)
    assert reply.content.decode().endswith("&lt;")
    assert [headers["User-Agent"] for _, headers in project_of.asked] == ["Moz", "Moz"]


def test_the_body_is_rendered_only_where_it_is_needed(project_of: Site) -> None:
    called = []

    def own() -> str:
        called.append(1)
        return "<"

    source = "{% slot name %}<i>{{ own }}</i>{% endslot %}"
    assert render(source, name="top", own=own) == SNIPPET
    assert not called
    assert render(source, name="empty", own=own) == "<i>&lt;</i>"
    off = "{% autoescape off %}" + source + "{% endautoescape %}"
    assert render(off, name="empty", own=own) == "<i><</i>"


def test_without_the_server_the_page_stands(project_of: Site) -> None:
    project_of.broken = True
    assert Client().get("/").content.decode() == (
        '<div data-slot="top" data-size="728x90" style="min-height:108px" data-labels="a">'
        "<template><i>&lt;</i></template></div>"
    )


def test_a_page_is_one_call(project_of: Site) -> None:
    source = '{% page_slots "top" "footer" sizes=sizes as filled %}{{ filled.top }}|{{ filled.footer }}'
    top, footer = render(source, sizes={"top": "728x90"}).split("|")
    assert top.startswith(SNIPPET)
    assert footer == ""
    assert len(project_of.asked) == 1


@pytest.mark.parametrize("name", ['"><script>', "../x", None, 5, "top\r\n", ""])
def test_a_hostile_name_prints_nothing(project_of: Site, name: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert render("{% slot name %}own{% endslot %}", name=name) == ""
    assert len(caplog.records) == 1
    assert not project_of.asked


@pytest.mark.parametrize("source", ["{% slot %}{% endslot %}", '{% slot "a" "b" %}{% endslot %}', '{% slot "a" %}'])
def test_a_slip_is_a_syntax_error(project_of: Site, source: str) -> None:
    with pytest.raises(TemplateSyntaxError):
        render(source)


def test_views_may_call_without_a_request(project_of: Site) -> None:
    assert slot(None, "top") == SNIPPET
    assert page(None, ["top"])["top"].startswith(SNIPPET)


def found(**given: Any) -> list[tuple[str, str]]:
    """What the system checks say of `ADSERVE`."""
    with override_settings(**given):
        return [(str(one.id), f"{one.msg} {one.hint}") for one in checks.run_checks() if "adserve" in str(one.id)]


def test_system_checks_name_all_that_is_wrong() -> None:
    """Each with its name and its remedy; the key does not print."""
    good = {"BASE_URL": "http://127.0.0.1:8000", "SITE": "news"}
    assert found(ADSERVE=good) == []
    assert found(ADSERVE=good | {"TIMEOUT_S": 1, "KEY": "adserve_k"}) == []
    ((code, said),) = found()
    assert (code, "is not set" in said, "ADSERVE = {" in said) == ("adserve.E001", True, True)
    ((code, said),) = found(ADSERVE="http://127.0.0.1:8000")
    assert (code, "is no mapping" in said) == ("adserve.E001", True)
    wrong = {"BASE_URL": "serve", "SITE": "No", "TIMEOUT_S": 0, "KEY": "se cret", "TIMEOUT": 1, 5: 5}
    said_all = found(ADSERVE=wrong)
    assert [code for code, _ in said_all] == [f"adserve.E00{n}" for n in (2, 3, 4, 5, 6, 6)]
    assert "Did you mean 'TIMEOUT_S'?" in said_all[4][1]
    assert "se cret" not in str(said_all)


def test_wrong_settings_break_no_page(server: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A server does not run the checks. Its pages have the tag's elements, and its log one line."""
    _wrong.cache_clear()
    wrong: tuple[dict[str, Any], ...] = ({}, {"ADSERVE": None}, {"ADSERVE": {"BASE_URL": [], "SITE": {}, "KEY": []}})
    for given in wrong:
        with override_settings(**given):
            assert render('{% slot "top" %}own{% endslot %}') == ('<div data-slot="top"><template>own</template></div>')
            assert page(None, ["top"]) == {"top": '<div data-slot="top"></div>'}
    assert [record.levelname for record in caplog.records].count("ERROR") == 1
    assert _made.cache_info().currsize <= 8
