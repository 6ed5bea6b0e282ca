"""The schemas of creatives: what is uploaded, edited and reviewed, and how creatives and their revisions are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args, get_type_hints

from adserve.core import members as m
from adserve.core import validate as v
from adserve.core.form import Field, body_schema
from adserve.core.gate import PARTS
from adserve.core.model import Creative
from adserve.core.revisions import STATES
from adserve.core.validate import Schema
from adserve.flows.content import FILES as PICTURES
from adserve.flows.content import MAX_SIZES
from adserve.web.api.shapes import COUNT, ID, MOMENT, NUMBER, TEXT, Schemas, list_of, or_null, shape, shown

HASH: Schema = {**v.digest.schema, "description": "SHA-256 of a content: what an approval is of."}
FILES = {
    "file_2x": "The same picture with exactly twice the pixels a side, for dense screens.",
    "file_dark": "The same picture for dark pages, of the same pixels.",
    "file_dark_2x": "That for dense screens.",
    "sizes": "Further sizes of the same creative, for narrower viewports.",
}
TEXTS = ("alt", "title", "body", "button", "html")
CONTENT = ("click_url", "width", "height", *TEXTS, "trackers", "file", "files", "hash")
"""Members of a creative that its revisions have."""


def creative_bodies() -> Schemas:
    """As they are sent."""
    words = body_schema(m.WORDS, patch=True)
    file = {
        "type": "string",
        "contentMediaType": "application/octet-stream",
        "description": "The picture: PNG, JPEG, GIF, WebP or AVIF, told by its bytes.",
    }
    form = {**_without_null(words["properties"]), **dict.fromkeys(PARTS.values(), file)}
    form["sizes"] = {**list_of(file), "maxItems": MAX_SIZES}
    form |= {name: {**form[name], "description": about} for name, about in FILES.items()}
    free = _without_null(body_schema(m.FREE)["properties"])
    found: Schemas = {}
    found["CreativeBody"] = body_schema(
        {
            "kind": Field(v.one_of("text", "html", "passback").noted("What it is; a picture is sent as a form.")),
            **m.FREE,
            **m.WORDS,
        }
    )
    found["CreativeForm"] = {
        "type": "object",
        "properties": {"kind": m.KIND.schema, **free, **form},
        "required": ["name"],
        "additionalProperties": False,
    }
    off = {name: {"type": "null", "description": "Takes this picture off."} for name in PICTURES}
    patch = body_schema({**m.FREE, **m.WORDS}, patch=True)
    found["CreativePatch"] = {**patch, "properties": patch["properties"] | off}
    found["ContentBody"] = {**words, "properties": words["properties"] | off}
    found["ContentForm"] = {**words, "properties": form}
    found["RejectionBody"] = body_schema(m.REJECTION)
    found["ApprovalBody"] = {**body_schema(m.APPROVAL), "examples": [{"revision": 2}]}
    found["RestorationBody"] = body_schema(m.RESTORATION)
    return found


def _without_null(properties: Mapping[str, Schema]) -> Schemas:
    """Fields of a form: what is left out is not sent."""
    return {
        name: {**schema, "type": schema["type"][0]} if isinstance(schema["type"], list) else schema
        for name, schema in properties.items()
    }


def creative_objects() -> Schemas:
    """As they are shown."""
    creative = shape(
        id=TEXT,
        campaign=ID,
        kind=m.KIND.schema,
        **shown(m.FREE),
        state={"type": "string", "enum": list(get_args(get_type_hints(Creative)["state"]))},
        reason={**TEXT, "description": "Why it was rejected; else empty."},
        revision={**NUMBER, "description": "Of its newest content, which review is about."},
        live_revision={**or_null(NUMBER), "description": "What serves; null: nothing."},
        click_url=TEXT,
        width=COUNT,
        height=COUNT,
        **dict.fromkeys(TEXTS, TEXT),
        trackers=list_of(TEXT),
        files=list_of(
            shape(
                path=TEXT,
                type=TEXT,
                bytes=COUNT,
                width=COUNT,
                height=COUNT,
                density={"enum": [1, 2]},
                scheme={"enum": ["any", "dark"]},
            )
        ),
        file={"type": ["string", "null"], "description": "Its address under `/m/`."},
        hash=HASH,
        approved={"anyOf": [shape(revision=NUMBER, hash=HASH, at=MOMENT, by=TEXT), {"type": "null"}]},
        version=NUMBER,
    )
    said = creative["properties"]
    content = shape(revision=NUMBER, **{name: said[name] for name in CONTENT})
    revision = shape(
        creative=TEXT,
        revision=NUMBER,
        state={"type": "string", "enum": list(STATES)},
        hash=or_null(HASH),
        at=or_null(MOMENT),
        by=or_null(TEXT),
        reviewed={"anyOf": [shape(state=TEXT, at=MOMENT, by=TEXT, reason=TEXT), {"type": "null"}]},
    )
    detail = {
        "against": or_null(NUMBER),
        "changes": list_of(shape(member=TEXT, before={}, after={})),
        "content": {"anyOf": [content, {"type": "null"}]},
    }
    texts = {"type": "object", "additionalProperties": NUMBER}
    limits = shape(
        slots=list_of(shape(slot=TEXT, title=TEXT, sizes=list_of(TEXT), max_kb=NUMBER)),
        max_upload_bytes=NUMBER,
        max_file_bytes=NUMBER,
        parts=list_of(TEXT),
        max_sizes=NUMBER,
        types=list_of(TEXT),
        picture=shape(max_side=NUMBER, max_pixels=NUMBER),
        text_picture=shape(max_side=NUMBER),
        animation=shape(max_frames=NUMBER, max_pixels=NUMBER, max_seconds=NUMBER),
        texts={**texts, "description": "Member to how many characters it takes."},
    )
    return {
        "Creative": creative,
        "Revision": revision,
        "RevisionDetail": shape(**revision["properties"], **detail),
        "Limits": limits,
    }
