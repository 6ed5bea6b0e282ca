"""The schemas of the interface by name: bodies as they are checked, objects as they are shown."""

from __future__ import annotations

from collections.abc import Mapping

from adserve.core import members as m
from adserve.core import validate as v
from adserve.core.availability import SAID
from adserve.core.delivery import Standing
from adserve.core.explained import CATALOG, KNOWS, OTHER, WORKER
from adserve.core.explanation import CHOSEN, PASSBACK
from adserve.core.form import Field, Fields, body_schema
from adserve.core.model import DEVICES, TIERS
from adserve.core.reasons import Reason
from adserve.core.report_query import DIMENSIONS, FILTERS
from adserve.core.report_rows import FIGURES
from adserve.core.validate import Schema
from adserve.web.api.creative_schemas import creative_bodies, creative_objects
from adserve.web.api.shapes import (
    COUNT,
    ID,
    MOMENT,
    NUMBER,
    TEXT,
    Schemas,
    list_of,
    or_null,
    ref,
    shape,
    shown,
)  # fmt: skip

KINDS: Mapping[str, Fields] = {
    "site": m.SITE,
    "slot": m.SLOT,
    "advertiser": m.ADVERTISER,
    "campaign": m.CAMPAIGN,
}
"""The kinds that are put under an id of the caller's."""


def _bodies() -> Schemas:
    """What is put may hold what was shown: its id and what is read only."""
    found: Schemas = {}
    for kind, fields in KINDS.items():
        own = {"id": _PLACE, "site": ID, "name": ID} if kind == "slot" else {"id": ID}
        if kind == "campaign":
            own["accepts"] = _ACCEPTS
        extra = {name: {**schema, "readOnly": True} for name, schema in {**own, "version": NUMBER}.items()}
        for ending, patch in (("Body", False), ("Patch", True)):
            body = body_schema(fields, patch=patch)
            found[kind.capitalize() + ending] = {**body, "properties": {**extra, **body["properties"]}}
    found |= creative_bodies()
    bound = Field(m.BOUND["advertiser"].check)
    found["RotationBody"] = body_schema(m.ROTATION)
    found["KeyBody"] = {**body_schema({**m.KEY, "advertiser": bound}), "examples": [{"role": "reader", "name": "CI"}]}
    return found


_PLACE = v.check_place.schema
_ACCEPTS: Schema = list_of(shape(slot=_PLACE, sizes=list_of(m.SLOT["sizes"].check.schema["items"]), max_kb=NUMBER))


def _objects() -> Schemas:
    key = {"id": TEXT, **shown(m.KEY), "advertiser": or_null(ID), "created": MOMENT}
    key["prefix"] = {**TEXT, "description": "How its secret begins."}
    key["expires"] = or_null(MOMENT)
    key["last_used"] = {**or_null(MOMENT), "description": "Give or take a minute."}
    key["old_until"] = {**or_null(MOMENT), "description": "Until when the secret before the last rotation works."}
    return {
        "Site": shape(id=ID, **shown(m.SITE), version=NUMBER),
        "Slot": shape(id=_PLACE, site=ID, name=ID, **shown(m.SLOT), version=NUMBER),
        "Advertiser": shape(id=ID, **shown(m.ADVERTISER), version=NUMBER),
        "Campaign": shape(id=ID, **shown(m.CAMPAIGN), accepts=_ACCEPTS, version=NUMBER),
        **creative_objects(),
        "Key": shape(**key),
        "NewKey": shape(**key, key={"type": "string", "description": "The secret. It is shown here alone."}),
        "Change": shape(id=TEXT, what=TEXT, actor=TEXT, action=TEXT, before=TEXT, after=TEXT, at=MOMENT),
    }


def _report() -> Schemas:
    rate = {"type": ["number", "null"], "minimum": 0}
    money = {"type": ["string", "null"], "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
    special: Schemas = {"requests": or_null(COUNT), "empty": or_null(COUNT), "currency": or_null(TEXT)}
    special |= {"fill_rate": rate, "ctr": rate, "viewability": rate, "ecpm": money, "revenue": money}
    figures: Schemas = {name: special.get(name, COUNT) for name in FIGURES}
    keys: Schemas = {name: or_null(TEXT) for name in DIMENSIONS}
    keys |= {f"{name}_name": or_null(TEXT) for name in FILTERS}
    keys |= {"revision": or_null(NUMBER), "tier": {"enum": [*TIERS, None]}}
    row = shape(**figures, final={"type": "boolean"})
    totals = shape(**figures)
    by_currency = {"type": "object", "additionalProperties": money}
    return {
        "Row": {**row, "properties": {**keys, **row["properties"]}},
        "Totals": {**totals, "properties": {**totals["properties"], "revenue_by_currency": by_currency}},
        "Report": shape(
            **{"from": MOMENT},
            to=MOMENT,
            tz=TEXT,
            by=list_of({"type": "string", "enum": list(DIMENSIONS)}),
            generated_at=MOMENT,
            final_at=MOMENT,
            unreadable=COUNT,
            notes=list_of(TEXT),
            rows=list_of(ref("Row")),
            totals=ref("Totals"),
        ),
    }


def _explanation() -> Schemas:
    share: Schema = {"type": "number", "minimum": 0, "maximum": 1}
    code: Schema = {"enum": [*Reason, None], "description": "The first rule that keeps it out; null: none does."}
    outcome = {**or_null(TEXT), "description": "The id of the creative that was chosen; null: none, or another's."}
    reasons: Schema = {"enum": [CHOSEN, PASSBACK, OTHER, *Reason], "description": "Why the outcome is what it is."}
    request = shape(
        labels=list_of(TEXT),
        width=or_null(COUNT),
        device={"type": "string", "enum": list(DEVICES)},
        country=or_null(TEXT),
        url=or_null(TEXT),
        languages=list_of(TEXT),
        kv={"type": "object", "additionalProperties": list_of(TEXT)},
        countable={"type": "boolean", "description": "False for robots and prefetches."},
        reader={"type": "string", "enum": list(KNOWS)},
        sticky={"type": "boolean"},
        tired_of=list_of(ID),
    )
    return {
        "Candidate": shape(
            creative={**TEXT, "description": "Its id; `other`: everybody else's, in one row."},
            campaign=or_null(ID),
            tier={"enum": [*TIERS, None]},
            share={**share, "description": "The probability that this decision chose it."},
            eligible={"type": "boolean"},
            rejected=code,
        ),
        "Explanation": shape(
            slot=_PLACE,
            decision={**or_null(TEXT), "description": "null: it was only tried."},
            outcome=outcome,
            reason=reasons,
            candidates=list_of(ref("Candidate")),
            left_out={**COUNT, "description": "Candidates beyond `limit`."},
            rejected={"type": "object", "additionalProperties": NUMBER},
            empty_share={**share, "description": "The probability that the slot stays empty."},
            same={"type": "boolean", "description": "Made again, the decision comes out as it did."},
            at=MOMENT,
            catalog_version=COUNT,
            by={"enum": [WORKER, CATALOG]},
            draw=or_null(TEXT),
            request={"anyOf": [request, {"type": "null"}]},
            page={**or_null(list_of(ID)), "description": "Campaigns that stood on the page."},
        ),
    }


def _availability() -> Schemas:
    forecast: Schema = {**or_null(COUNT), "description": "Requests that are expected; null: nothing is known yet."}
    free: Schema = {**or_null(COUNT), "description": "Forecast less booked, never below 0."}
    day = shape(
        day={"type": "string", "format": "date"},
        forecast=forecast,
        booked=COUNT,
        available=free,
        taken_by_sponsor={"type": "boolean", "description": "A sponsor without goal and caps runs on it."},
        campaigns=list_of(shape(campaign=ID, booked=COUNT)),
    )
    return {
        "Availability": shape(
            slot=_PLACE,
            tz=TEXT,
            generated_at=MOMENT,
            confidence={"enum": ["none", "low", "fair", "good"]},
            days=list_of(day),
            totals=shape(forecast=forecast, booked=COUNT, available=free),
            warnings=list_of(shape(code={"enum": list(SAID)}, detail=TEXT, campaigns=list_of(ID), missing=NUMBER)),
            uncounted={**list_of(ID), "description": "Campaigns with a goal of clicks, which are not in `booked`."},
        )
    }


def _campaign_delivery() -> Schemas:
    planned: Schema = {**or_null(COUNT), "description": "In all by then, as planned when the flight began."}
    point = shape(at=MOMENT, delivered=or_null(COUNT), each=or_null(COUNT), planned=planned)
    return {
        "Delivery": shape(
            campaign=ID,
            name=TEXT,
            counts={"enum": ["impressions", "clicks"]},
            goal=or_null(NUMBER),
            share=or_null(NUMBER),
            pacing={"enum": ["even", "asap"]},
            tz=TEXT,
            step={"enum": ["quarter", "hour", "day"]},
            generated_at=MOMENT,
            total={**COUNT, "description": "Delivered in all, as goals and caps see it."},
            expected={**or_null(COUNT), "description": "Planned by now; null without a plan."},
            standing={"enum": list(Standing)},
            words={**TEXT, "description": "How it stands, for people."},
            approximate={"type": "boolean", "description": "Older days are those of sites in other zones."},
            unreadable=COUNT,
            points=list_of(point),
            **{"from": MOMENT, "to": MOMENT},
        )
    }


_FALLBACK: Schema = {"const": True, "description": "The page shows its own: a passback was chosen."}


def _delivery() -> Schemas:
    both = {
        "slot": TEXT,
        "decision": TEXT,
        "html": TEXT,
        "page_view": TEXT,
        "frequency": {"enum": ["visitor", "device", "none"], "description": "By what the reader was known."},
    }
    kept = {"seen": {**TEXT, "maxLength": 784, "description": "For the device to keep, and to send next time."}}
    link = {"type": "string", "format": "uri"}
    filled = shape(
        **both,
        filled={"const": True},
        width=COUNT,
        height=COUNT,
        site=ID,
        campaign=ID,
        creative=TEXT,
        revision=NUMBER,
        label=TEXT,
        click_url=link,
        impression_url=link,
        view_url=link,
    )
    empty = shape(**both, filled={"const": False})
    filled = {**filled, "properties": {**filled["properties"], **kept}}
    empty = {**empty, "properties": {**empty["properties"], "fallback": _FALLBACK, "collapse": {"const": True}, **kept}}
    ads = shape(slot=TEXT, filled={"type": "boolean"}, ads=list_of(ref("Filled")), page_view=TEXT)
    page = shape(
        page_view=TEXT,
        slots={"type": "object", "additionalProperties": {"anyOf": [ref("Decision"), ref("UnknownSlot")]}},
    )
    unknown = shape(slot=TEXT, filled={"const": False}, error={"const": "unknown_slot"})
    return {
        "Filled": filled,
        "Empty": empty,
        "UnknownSlot": unknown,
        "Decision": {"anyOf": [ref("Filled"), ref("Empty")]},
        "Ads": {**ads, "properties": {**ads["properties"], "fallback": _FALLBACK, **kept}},
        "DecisionOrAds": {"anyOf": [ref("Filled"), ref("Empty"), ref("Ads")]},
        "Page": {**page, "properties": {**page["properties"], **kept}},
        "Alive": shape(status={"const": "alive"}),
        "Version": shape(version=TEXT),
        "Readiness": shape(status={"enum": ["starting", "ready", "degraded"]}, warnings=list_of(TEXT)),
    }


_ALONE = ("NewKey", "RevisionDetail", "Limits")
"""What no list is of."""


def schemas() -> Schemas:
    """All of them by name, lists of objects too: `Sites` are a page of `Site`."""
    objects = _objects()
    pages = {f"{name}s": shape(items=list_of(ref(name))) for name in objects if name not in _ALONE}
    problem = shape(type=TEXT, title=TEXT, status={"type": "integer"}, code=TEXT)
    errors = list_of(shape(pointer=TEXT, detail=TEXT, code=TEXT))
    more = {"detail": TEXT, "errors": {**errors, "description": "All that is wrong with a body or query, at once."}}
    problem = {**problem, "properties": {**problem["properties"], **more}}
    return {
        **objects,
        **pages,
        **_bodies(),
        **_report(),
        **_delivery(),
        **_explanation(),
        **_availability(),
        **_campaign_delivery(),
        "Problem": problem,
        "Description": _DESCRIPTION,
    }


_DESCRIPTION = shape(openapi={"const": "3.1.0"}, info={"type": "object"}, paths={"type": "object"})
