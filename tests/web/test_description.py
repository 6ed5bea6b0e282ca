"""The description of the interface: it says what the service does, to programs and to people."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import html5lib
import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserve.app import create_app
from adserve.core import members
from adserve.core.form import Field, Form, body_schema
from adserve.errors import Invalid
from adserve.web.api.documents import STYLE, render
from adserve.web.api.openapi import document
from adserve.web.api.query import read_query
from adserve.web.routes import ROUTES
from tests.conftest import Api
from tests.core.test_validate import JSON
from tests.security.table import methods

DESCRIBED = document(ROUTES)
OPERATIONS = [
    (path, method, operation) for path, methods in DESCRIBED["paths"].items() for method, operation in methods.items()
]
TABLES: list[dict[str, Field]] = [
    *({**fields} for fields in members.CONTENT.values()),
    *(fields for fields in vars(members).values() if isinstance(fields, dict) and fields is not members.CONTENT),
]
FIELDS = [field for fields in TABLES for field in fields.values() if isinstance(field, Field)]
PAGE: Any = html5lib.parse(render(DESCRIBED), namespaceHTMLElements=False)


def refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (one for name, one in value.items() if name == "$ref")
        yield from (found for one in value.values() for found in refs(one))
    elif isinstance(value, list):
        yield from (found for one in value for found in refs(one))


async def test_both_are_read_without_a_key(api: Api) -> None:
    """Nothing of anybody's is in them, so a caller may read first and ask for a key later."""
    described = await api.http.get("/api/v1/openapi.json")
    assert described.json() == DESCRIBED
    page = await api.http.get("/api/v1/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for name in ("openapi.json", "docs"):
        moved = await api.http.get(f"/{name}")
        assert (moved.status_code, moved.headers["location"]) == (307, f"/api/v1/{name}")


async def test_every_address_of_the_service_is_described_and_no_other(api: Api) -> None:
    """The tables that route and the description name the same paths with the same methods."""
    app: Any = create_app(api.held)
    described = {path: {method.upper() for method in methods} for path, methods in DESCRIBED["paths"].items()}
    answered = {path: takes - {"HEAD"} for path, takes in methods(app).items()}
    assert described == answered


def test_the_description_is_whole() -> None:
    """Every name that it points to is there, operations have names of their own, schemas are JSON Schema."""
    for one in refs(DESCRIBED):
        found: Any = DESCRIBED
        for part in one.removeprefix("#/").split("/"):
            found = found[part]
    names = [operation["operationId"] for *_, operation in OPERATIONS]
    assert len(set(names)) == len(names) > 50
    for schema in DESCRIBED["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    for path, _, operation in OPERATIONS:
        named = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path))


def test_who_may_stands_with_every_call() -> None:
    """Roles for programs and in words; what needs no key says so."""
    for route in ROUTES:
        operation = DESCRIBED["paths"][route.path][route.method.lower()]
        assert operation["x-roles"] == sorted(route.roles)
        assert all(role in operation["description"] for role in route.roles)
        assert ("401" in operation["responses"]) == bool(route.roles)
        assert operation.get("security") == (None if route.roles else [])


@given(JSON, st.sampled_from(FIELDS))
def test_what_a_check_takes_its_schema_takes(value: Any, field: Field) -> None:
    """A schema that were narrower than the check would forbid generated clients what the service takes."""
    for given_value in (value, *field.check.schema.get("examples", ()), *field.check.schema.get("enum", ())):
        try:
            field.check(given_value)
        except ValueError:
            assert given_value is value, "an example must be taken"
        else:
            assert jsonschema_rs.is_valid({**field.check.schema}, given_value)


@given(st.dictionaries(st.sampled_from([*members.CAMPAIGN, "other"]), JSON, max_size=4))
def test_what_a_form_takes_the_schema_of_its_body_takes(body: dict[str, Any]) -> None:
    """Required, null and unknown members are the same to both."""
    whole = {"advertiser": "acme", "name": "Spring", **body}
    form = Form(whole)
    form.read(members.CAMPAIGN)
    try:
        form.finish()
    except Invalid:
        return
    assert jsonschema_rs.is_valid({**body_schema(members.CAMPAIGN)}, whole)


def test_examples_of_parameters_are_taken() -> None:
    """What the description proposes is no `422`."""
    for route in ROUTES:
        for name, check in route.query.items():
            for one in (*check.schema.get("examples", ()), *check.schema.get("enum", ())):
                assert read_query([(name, one)], route.query) == {name: one}


# ---- the page


def element(id_: str) -> Any:
    (found,) = [one for one in PAGE.iter() if one.get("id") == id_]
    return found


def test_the_page_has_every_call_with_a_line_to_copy() -> None:
    """Method, path, summary, roles, statuses and codes, and a `curl` line that asks just that."""
    for path, method, operation in OPERATIONS:
        article = element(operation["operationId"])
        said = re.sub(r"\s+", " ", "".join(article.itertext()))
        assert f"{method.upper()}{path}" in said
        assert all(role in said for role in operation.get("x-roles", ()))
        assert all(status in said for status in operation["responses"])
        assert all(one["name"] in said for one in operation.get("parameters", ()))
        assert all(media in said for media in operation.get("requestBody", {}).get("content", ()))
        words = shlex.split(article.find("pre").find("code").text)
        asked = words[words.index("-X") + 1] if "-X" in words else "GET"
        (address,) = [word for word in words if word.startswith("$BASE")]
        assert (words[0], asked) == ("curl", method.upper())
        assert re.fullmatch(re.sub(r"\{\w+\}", "[^/{}]+", path), address.removeprefix("$BASE").partition("?")[0])
        assert ("Authorization: Bearer $KEY" in words) == (operation.get("security") != [])


def test_the_bodies_of_the_lines_to_copy_are_taken() -> None:
    """What somebody copies is no `422` for its form."""
    for *_, operation in OPERATIONS:
        bodies = operation.get("requestBody", {}).get("content", {})
        words = shlex.split(element(operation["operationId"]).find("pre").find("code").text)
        if "-d" not in words:
            assert not bodies or "-F" in words
            continue
        media = next(word for word in words if word.startswith("Content-Type: ")).removeprefix("Content-Type: ")
        schema = {**bodies[media]["schema"], "components": DESCRIBED["components"]}
        jsonschema_rs.validate(schema, json.loads(words[words.index("-d") + 1]))


async def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(api: Api) -> None:
    """No script, no address but its own, and a policy that permits its style alone."""
    style = "".join(PAGE.find("head").find("style").itertext())
    assert style == STYLE, "a template that escapes it would change it"
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (await api.http.get("/api/v1/docs")).headers["content-security-policy"]
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'"
    ids = [one.get("id") for one in PAGE.iter() if one.get("id")]
    assert len(ids) == len(set(ids))
    for one in PAGE.iter():
        assert one.tag not in ("script", "link", "img", "iframe", "form")
        assert not [name for name in one.attrib if name.startswith("on") or name in ("src", "style")]
        if one.tag == "a":
            assert one.get("href") == "openapi.json" or one.get("href")[1:] in ids, one.get("href")
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.parametrize("place", ["summary", "description"])
def test_words_of_the_description_are_no_markup(place: str) -> None:
    """Text that looks like an element is shown as text."""
    planted = json.loads(json.dumps(DESCRIBED))
    planted["paths"]["/api/v1/sites"]["get"][place] = "`<b>` <script>alert(1)</script>"
    page = html5lib.parse(render(planted), namespaceHTMLElements=False)
    assert [one for one in page.iter() if one.tag in ("b", "script") and one.text in ("alert(1)", None)] == []
    assert "<script>alert(1)</script>" in "".join(page.itertext())
