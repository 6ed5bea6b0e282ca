"""The service as schemathesis asks it, by its own description, and two tenants who share it."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from tests.conftest import BROWSER
from tests.service import until

ASKED = os.environ.get("ADSERVE_SCHEMATHESIS_EXAMPLES")
EXAMPLES = int(ASKED or "6")
"""Drawn requests for each call, beside those that the edges of its schemas give: the same ones each time, and others
each time when their number was asked for."""
NOBODY = "nobodys"
EVENTS = {"/e/i/{token}": 0, "/e/v/{token}": 1, "/c/{token}": 2, "/f/{token}": 2}
PUBLIC = "^/(v1|e|c|f|m)/"
JUDGED_OTHERWISE = {name: {"enabled": False} for name in ("positive_data_acceptance", "negative_data_rejection")}
"""Delivery ignores a malformed parameter instead of refusing it, and refuses a token that only looks like one."""


@dataclass
class Tenant:
    """An advertiser with a site where it books, campaigns and creatives in every state. `word` stands in each of
    their texts and in no id."""

    id: str
    word: str
    http: httpx2.Client
    creatives: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def make(self, method: str, path: str, body: Any = None) -> Any:
        reply = self.http.request(method, f"/api/v1{path}", json=body)
        assert reply.status_code in (200, 201), (path, reply.text)
        return reply.json()

    @property
    def objects(self) -> list[str]:
        """The addresses of everything that is this tenant's."""
        own = [f"/sites/{self.id}", f"/sites/{self.id}/slots/top", f"/advertisers/{self.id}"]
        return [
            *own,
            *(f"/campaigns/{one}" for one in self.campaigns),
            *(f"/creatives/{one}" for one in self.creatives),
        ]

    @property
    def campaigns(self) -> list[str]:
        return [f"{self.id}-one", f"{self.id}-two"]

    @property
    def ids(self) -> list[str]:
        """Ids by which it would show in an answer."""
        return [*self.campaigns, *self.creatives, f"{self.id}.example"]

    def settle(self) -> None:
        """Makes all of it, and one serve of it."""
        said, name = {"click_url": f"https://{self.id}.example/"}, f"{self.word} Ltd"
        self.make("PUT", f"/sites/{self.id}", {"name": name})
        self.make("PUT", f"/sites/{self.id}/slots/top", {"title": name, "sizes": ["300x250"]})
        self.make("PUT", f"/advertisers/{self.id}", {"name": name})
        for campaign in self.campaigns:
            body = {"advertiser": self.id, "name": name, "slots": [f"{self.id}/top"]}
            self.make("PUT", f"/campaigns/{campaign}", body)
            for moves in ((), ("approve",), ("approve", "pause"), ("reject",)):
                text = {"kind": "text", "name": name, "title": self.word, "body": self.word, **said}
                id_ = str(self.make("POST", f"/campaigns/{campaign}/creatives", text)["id"])
                for move in moves:
                    self.make("POST", f"/creatives/{id_}/{move}", {"reason": self.word} if move == "reject" else None)
                self.creatives.append(id_)
        decision = self.http.get(f"/v1/slots/{self.id}/top", headers={"Accept": "application/json"}).json()
        self.tokens = [decision[f"{name}_url"].rpartition("/")[2] for name in ("impression", "view", "click")]
        until(lambda: self.figures()["totals"]["serves"] == 1)

    def state(self) -> dict[str, Any]:
        """Everything of it as an admin sees it."""
        found = {path: self.make("GET", path) for path in self.objects}
        return found | {"figures": [self.figures()[name] for name in ("rows", "totals")]}

    def figures(self) -> Any:
        return self.make("GET", f"/report?by=creative&advertiser={self.id}")


def caller(origin: str, key: str) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {key}", "User-Agent": BROWSER}
    return httpx2.Client(base_url=origin, headers=headers, timeout=10, trust_env=False)


def narrowed(described: dict[str, Any], tenants: list[Tenant], keys: list[str], role: str = "") -> dict[str, Any]:
    """The description with the ids that are there, so that what is drawn meets objects of both tenants; objects
    that are answered are closed, so that a member that is not described is seen. `role`: only what it may ask, with
    these ids in queries too, where any id is taken and finds nothing."""
    found = copy.deepcopy(described)
    ids = [one.id for one in tenants]
    campaigns = [id_ for one in tenants for id_ in one.campaigns]
    creatives = [id_ for one in tenants for id_ in one.creatives]
    by_collection = {"campaigns": campaigns, "creatives": creatives, "keys": keys}
    by_name = {"advertiser": ids, "campaign": campaigns, "creative": creatives, "site": ids, "slot": ["top"]}
    for path, methods in found["paths"].items():
        by_name["id"] = by_collection.get(path.partition("/{id}")[0].rpartition("/")[2], ids)
        by_name["token"] = [one.tokens[EVENTS[path]] for one in tenants] if path in EVENTS else []
        for method in [one for one in methods if role and role not in methods[one].get("x-roles", ())]:
            del methods[method]
        for operation in methods.values():
            # a list of tags that names none holds for everything: nothing in this header is refused
            operation["parameters"] = [one for one in operation.get("parameters", ()) if one["name"] != "If-None-Match"]
            for one in operation["parameters"]:
                one.pop("example", None)
                if one["name"] == "If-Match":
                    one["schema"] = {"enum": ["*"]}
                elif one["name"] in by_name and (role or one["in"] == "path"):
                    one["schema"] = {"enum": [*by_name[one["name"]], NOBODY]}
    schemas = found["components"]["schemas"]
    for name in ("CampaignBody", "CampaignPatch"):
        own = schemas[name]["properties"]
        own["advertiser"] = {"enum": [*ids, NOBODY]}
        own["slots"]["items"] = {"enum": [f"{one}/{slot}" for one in ids for slot in ("top", "*", NOBODY)]}
    for name, schema in schemas.items():
        if name != "Description":
            _close(schema)
    return found


def _close(schema: Any) -> None:
    if isinstance(schema, dict):
        if "properties" in schema and "type" in schema:
            schema.setdefault("additionalProperties", False)
            own = schema["properties"]  # what is read only is ignored, not refused
            schema["properties"] = {name: one for name, one in own.items() if not one.get("readOnly")}
        for one in schema.values():
            _close(one)
    elif isinstance(schema, list):
        for one in schema:
            _close(one)


Look = Callable[[Any, Any], str | None]


def ask(
    origin: str, described: dict[str, Any], key: str, look: Look = lambda *_: None, *, edges: bool = True
) -> Iterator[str]:
    """What is wrong with the answers, in words: `look` says it of one request and its answer. `edges`: also what
    lies at the edges of each schema and beyond, in place of more that is drawn within."""
    config = SchemathesisConfig.from_dict(
        {
            "base-url": origin,
            "headers": {"Authorization": f"Bearer {key}"},
            "suppress-health-check": ["all"],
            "generation": {
                "mode": "all" if edges else "positive",
                "max-examples": EXAMPLES * (1 if edges else 4),
                "deterministic": not ASKED,
                "database": "none",
            },
            "phases": {
                "stateful": {"enabled": False},
                "coverage": {"enabled": edges},
                "fuzzing": {"extra-data-sources": {"responses": False}},  # ids come from the description alone
            },
            "checks": {
                # an id that is not there or a rule that no schema says is 422: but never another refusal
                "positive_data_acceptance": {"expected-statuses": ["2xx", "3xx", *REFUSALS, "422"]},
                # too many long texts are more than a body may hold
                "negative_data_rejection": {"expected-statuses": ["400", *REFUSALS, "405", "413", "415", "422"]},
            },
            "operations": [{"include-path-regex": PUBLIC, "checks": JUDGED_OTHERWISE}],
        }
    )
    schema = schemathesis.openapi.from_dict(described, config=config)
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError):
            yield f"{event.label}: {event.value!r}"
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.ScenarioFinished):
            yield from _failures(event.recorder, look)


REFUSALS = ["401", "403", "404", "409", "412"]


def _failures(recorder: Any, look: Look) -> Iterator[str]:
    for case, checks in recorder.checks.items():
        for one in checks:
            if one.failure_info is not None:
                request = recorder.interactions[case].request
                yield f"{request.method} {request.uri}: {one.name}: {one.failure_info.failure}"
    for one in recorder.interactions.values():
        if one.response is not None and (wrong := look(one.request, one.response)):
            yield f"{one.request.method} {one.request.uri}: {wrong}"
