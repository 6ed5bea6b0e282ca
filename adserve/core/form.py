"""Bodies to values, collecting everything that is wrong. A `Form` is read table by table.

A table says once which members there are, how each is checked and what it is when it is left out; the form reads
bodies by it, and `body_schema` describes it. Members that nobody asked for are problems, and so are those of the
contract that this version has not built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from adserve.core.schedule import parse_moment
from adserve.core.validate import Check, Schema, Several, members, pointer
from adserve.errors import Invalid, Problem

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Field:
    """A member of a body. `default`: what it is when it is absent or null."""

    check: Check[Any]
    default: Any = None
    required: bool = False


Fields = Mapping[str, Field]


def fields_of(kind: type[msgspec.Struct], **checks: Check[Any]) -> dict[str, Field]:
    """The members of a kind that callers may write. What is left out is what the model says; what has no default
    there is required."""
    known = {one.name: one for one in msgspec.structs.fields(kind)}
    return {
        name: Field(check, None if known[name].required else known[name].default, known[name].required)
        for name, check in checks.items()
    }


class Form:
    """One body. `problems` grows as fields are taken; `finish` raises them all."""

    def __init__(self, body: Any) -> None:
        self.problems: list[Problem] = []
        self._body = members(body)
        self._left = set(self._body)

    def problem(self, name: str, detail: str, code: str = "invalid") -> None:
        self.problems.append(Problem(f"/{name}", detail, code))

    def read(self, fields: Fields) -> dict[str, Any]:
        """All members of a table."""
        return {name: self.take(name, f.default, f.check, required=f.required) for name, f in fields.items()}

    def take(self, name: str, default: T, check: Check[T], *, required: bool = False) -> T:
        """One member through its check; `default` when it is absent, null or wrong."""
        self._left.discard(name)
        value = self._body.get(name)
        if value is None:
            if required:
                self.problem(name, "is required", "required")
            return default
        try:
            return check(value)
        except Several as found:
            self.problems += [Problem(pointer(name, *path), detail) for path, detail in found.problems]
            return default
        except ValueError as problem:
            self.problem(name, str(problem))
            return default

    def same(self, name: str, own: str, check: Check[str]) -> None:
        """A member that the address says already."""
        if self.take(name, own, check) != own:
            self.problem(name, "must be the one in the path")

    def has(self, name: str) -> bool:
        """Whether a member was sent with a value."""
        return self._body.get(name) is not None

    def empties(self, name: str) -> bool:
        """Whether a member was sent as null."""
        return name in self._body and self._body[name] is None

    def refuse(self, name: str, detail: str) -> None:
        """A member that others of its kind have, and this one has not."""
        self._left.discard(name)
        if self.has(name):
            self.problem(name, detail)

    def finish(self) -> None:
        """Raises Invalid with all problems."""
        for name in sorted(self._left):
            self.problems.append(Problem(pointer(name), "is no member of this object", "unknown_field"))
        if self.problems:
            raise Invalid(self.problems)

    def window(self, starts: str | None, ends: str | None, tz: ZoneInfo) -> tuple[int | None, int | None]:
        """Two moments that were taken, as epoch seconds; half-open."""
        starts_at = parse_moment(starts, tz) if starts else None
        ends_at = parse_moment(ends, tz) if ends else None
        if starts_at is not None and ends_at is not None and starts_at >= ends_at:
            self.problem("ends", "must lie after starts")
        return starts_at, ends_at


def body_schema(fields: Fields, *, patch: bool = False) -> Schema:
    """The schema of a body: null stands for a member that is left out. `patch`: of a merge patch, which may leave
    out anything."""
    required = [name for name, field in fields.items() if field.required]
    schema: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    for name, field in fields.items():
        schema["properties"][name] = dict(field.check.schema) if field.required else _or_null(field, patch=patch)
    if required and not patch:
        schema["required"] = required
    return schema


def _or_null(field: Field, *, patch: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {**field.check.schema, "type": [field.check.schema["type"], "null"]}
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    if field.default and not patch:
        schema["default"] = field.default
    return schema
