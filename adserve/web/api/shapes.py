"""What schemas are put together from."""

from __future__ import annotations

from adserve.core import validate as v
from adserve.core.form import Fields
from adserve.core.validate import Schema

Schemas = dict[str, Schema]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "integer", "minimum": 1}
MOMENT: Schema = {"type": "string", "format": "date-time"}
ID = v.check_id.schema
DECISION: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_-]{36}$", "description": "From a decision."}
def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def shape(**properties: Schema) -> Schema:
    """An object that always has all of these members. It may get more in later versions."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def shown(fields: Fields) -> Schemas:
    """Members as they are answered: null where the model has nothing."""
    return {
        name: field.check.schema if field.required or field.default is not None else or_null(field.check.schema)
        for name, field in fields.items()
    }
