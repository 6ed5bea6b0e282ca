"""A description as people read it: schemas in words, calls by noun, a `curl` line for each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from shlex import quote
from typing import Any
from urllib.parse import quote as encode

from adserve.core.validate import Schema
from adserve.web.api.endpoint import FORM, PATCH


@dataclass(frozen=True, slots=True)
class Member:
    """A parameter, or a member of a body or an object."""

    name: str
    type: str
    about: str
    required: bool = False
    place: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One method of one path. `bodies`: media types to members; `answers`: status, words,
    names of schemas and headers; `failures`: status and codes."""

    id: str
    method: str
    path: str
    summary: str
    about: str
    roles: tuple[str, ...]
    parameters: tuple[Member, ...]
    bodies: dict[str, tuple[Member, ...]]
    answers: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...]
    failures: tuple[tuple[str, tuple[str, ...]], ...]
    curl: str


class Reading:
    """What the page shows of a description."""

    def __init__(self, described: dict[str, Any]) -> None:
        self._all = described
        self.info = described["info"]
        self.about = described["info"]["description"].split("\n\n")
        self.nouns: dict[str, list[Call]] = {tag["name"]: [] for tag in described["tags"]}
        for path, methods in described["paths"].items():
            for method, operation in methods.items():
                self.nouns[operation["tags"][0]].append(self._call(path, method.upper(), operation))
        problems: dict[int, dict[str, Member]] = {}
        for one in described["components"]["responses"].values():
            codes = {code: Member(code, "", about) for code, about in one["x-codes"].items()}
            problems.setdefault(one["x-status"], {}).update(codes)
        self.problems = {status: [*problems[status].values()] for status in sorted(problems)}
        shown = {
            name for calls in self.nouns.values() for call in calls for *_, names, _ in call.answers for name in names
        }
        self.objects = {name: tuple(self._members(name)) for name in sorted(self._reached(shown))}

    def _call(self, path: str, method: str, operation: dict[str, Any]) -> Call:
        by_name: dict[str, list[str]] = {}
        for media, one in operation.get("requestBody", {}).get("content", {}).items():
            by_name.setdefault(_ref(one["schema"]), []).append(media)
        parameters = operation.get("parameters", [])
        answers, failures = [], []
        for status, one in operation["responses"].items():
            if "$ref" in one:
                failures.append((status, tuple(self._look_up(one)["x-codes"])))
                continue
            names = tuple(name for media in one.get("content", {}).values() for name in _names(media["schema"]))
            answers.append((status, one["description"], names, tuple(one.get("headers", ()))))
        return Call(
            id=operation["operationId"],
            method=method,
            path=path,
            summary=operation["summary"],
            about=operation.get("description", ""),
            roles=tuple(operation.get("x-roles", ())),
            parameters=tuple(
                Member(
                    one["name"], words(one["schema"]), one.get("description", ""), one.get("required", False), one["in"]
                )
                for one in parameters
            ),
            bodies={" or ".join(medias): tuple(self._members(name)) for name, medias in by_name.items()},
            answers=tuple(answers),
            failures=tuple(failures),
            curl=self._curl(path, method, operation),
        )

    def _look_up(self, one: Schema) -> dict[str, Any]:
        kind, name = one["$ref"].split("/")[-2:]
        found: dict[str, Any] = self._all["components"][kind][name]
        return found

    def _members(self, name: str) -> Iterator[Member]:
        schema = self._all["components"]["schemas"][name]
        if "properties" not in schema:
            yield Member("", words(schema), "")
        closed = not schema.get("additionalProperties", True)  # what is answered always has all of its members
        for member, one in schema.get("properties", {}).items():
            if not one.get("readOnly"):
                required = closed and member in schema.get("required", ())
                yield Member(member, words(one), one.get("description", ""), required)

    def _reached(self, names: Iterable[str]) -> set[str]:
        """The schemas that these lead to, and they themselves."""
        found: set[str] = set()
        left = list(names)
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += _names(self._all["components"]["schemas"][name])
        return found

    def _curl(self, path: str, method: str, operation: dict[str, Any]) -> str:
        """A line to copy, with examples for what must be there."""
        parameters = operation.get("parameters", [])
        filled = {one["name"]: str(one.get("example", "TOKEN")) for one in parameters if one["in"] == "path"}
        address = re.sub(r"\{(\w+)\}", lambda match: encode(filled[match[1]]), path)
        asked = [f"{one['name']}={one['example']}" for one in parameters if one["in"] == "query" and "example" in one]
        address += f"?{'&'.join(asked)}" if asked else ""
        line = ["curl"] if method == "GET" else ["curl", "-X", method]
        line.append(f'"$BASE{address}"')
        if operation.get("security") != []:
            line.append('-H "Authorization: Bearer $KEY"')
        bodies = operation.get("requestBody", {}).get("content", {})
        if FORM in bodies:
            schema = self._look_up(bodies[FORM]["schema"])
            named = {
                "file": "@banner.png",
                **{name: example(name, schema["properties"][name]) for name in ("alt", "click_url")},
            }
            fields = named | {
                name: str(example(name, schema["properties"][name])) for name in schema.get("required", ())
            }
            line += [f"-F {quote(f'{name}={value}')}" for name, value in fields.items()]
        elif bodies:
            media = PATCH if PATCH in bodies else next(iter(bodies))
            body = self._body(self._look_up(bodies[media]["schema"]))
            line += [f"-H 'Content-Type: {media}'", f"-d {quote(json.dumps(body, ensure_ascii=False))}"]
        return " ".join(line)

    def _body(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Its example, what is required, or one member of a patch."""
        if "examples" in schema:
            found: dict[str, Any] = schema["examples"][0]
            return found
        writable = [name for name, one in schema["properties"].items() if not one.get("readOnly")]
        names = schema.get("required") or [name for name in writable if name in ("name", "title")][:1] or writable[:1]
        return {name: example(name, schema["properties"][name]) for name in names}


def example(name: str, schema: Schema) -> Any:
    """A value that a schema takes."""
    for word in ("examples", "enum"):
        if word in schema:
            return schema[word][0]
    kind = schema["type"][0] if isinstance(schema["type"], list) else schema["type"]
    if kind == "array":
        return [example(name, schema["items"])]
    return {"integer": schema.get("minimum", 1), "string": name.capitalize()}[kind]


def words(schema: Schema) -> str:
    """A schema in words: `text, at most 200 characters`."""
    if "$ref" in schema:
        return _ref(schema)
    if "anyOf" in schema:
        return " or ".join(words(one) for one in schema["anyOf"])
    if "const" in schema:
        return json.dumps(schema["const"])
    kind, *null = kinds if isinstance(kinds := schema.get("type", "string"), list) else [kinds]
    found = _PLAIN[kind](schema) if kind in _PLAIN else str(kind)
    if "enum" in schema:
        found = " | ".join(str(one) for one in schema["enum"] if one not in (None, ""))
    elif null and "default" not in schema:
        found += " or null"
    return f"{found} ({schema['default']})" if "default" in schema else found


def _text(schema: Schema) -> str:
    if "format" in schema:
        return f"text, {schema['format']}"
    if "examples" in schema and "pattern" in schema:
        return f"text like {schema['examples'][0]}"
    if "maxLength" in schema:
        return f"text, at most {schema['maxLength']} characters"
    return "text"


def _number(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    return (
        f"whole number, {low} to {high:,}"
        if high is not None
        else f"whole number from {low}"
        if low
        else "whole number"
    )


def _list(schema: Schema) -> str:
    most = f", at most {schema['maxItems']}" if "maxItems" in schema else ""
    return f"list of {words(schema['items'])}{most}"


def _object(schema: Schema) -> str:
    if isinstance(more := schema.get("additionalProperties"), dict):
        return f"object, name to {words(more)}"
    return "{" + ", ".join(schema.get("properties", ())) + "}"


_PLAIN: dict[str, Callable[[Schema], str]] = {
    "string": _text,
    "integer": _number,
    "array": _list,
    "object": _object,
    "number": lambda _: "number",
}


def _ref(schema: Schema) -> str:
    name: str = schema["$ref"].rpartition("/")[2]
    return name


def _names(schema: Any) -> list[str]:
    """The names of the schemas that one points to."""
    return re.findall(r'"#/components/schemas/(\w+)"', json.dumps(schema))
