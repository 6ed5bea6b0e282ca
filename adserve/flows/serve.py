"""A slot request to a decision, and a page request to the decisions of its slots."""

from __future__ import annotations

import secrets
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from adserve.core.catalog import CompiledSlot
from adserve.core.context import Context
from adserve.core.decide import Choice, PageView, decide
from adserve.core.explain import why_empty
from adserve.core.journal import Decision, Stood, copied
from adserve.core.model import DEVICES, Slot
from adserve.core.report_cells import Where
from adserve.core.slot import SlotRequest
from adserve.core.token import FLAG_SERVED_COUNTS, Serve, decision_id, empty_id
from adserve.flows.worker import Worker
from adserve.snippet import impression_image
from adserve.store.keys import tag_of
from adserve.store.spool import Event

MOBILE_WIDTH = 360
"""CSS pixels of a slot's box on a mobile device whose request says none."""


class Reader(Struct, frozen=True, gc=False):
    """The client of a request, as far as counting and choosing need it."""

    verdict: str | None
    """Why its events would be set aside, or None."""
    device: int
    width: int | None
    page_view: str | None
    """That of the caller, if it named one."""
    base: str
    """The origin that links point to."""
    context: Context = Context()
    """What it says of its page and itself, as targeting looks at it."""


class Filled(Struct, frozen=True, gc=False):
    """A serve: the decision with its tokens."""

    slot: CompiledSlot
    choice: Choice
    id: str
    tokens: tuple[str, str, str]
    base: str
    page_view: str | None

    @property
    def html(self) -> str:
        """The snippet as JSON callers get it: the caller fires the impression."""
        _, view, click = self.tokens
        return self.choice.entry.snippet.fill(self.id, f"{self.base}/e/v/{view}", f"{self.base}/c/{click}", self.base)

    @property
    def page_html(self) -> str:
        """The snippet as HTML callers get it, with its own impression image."""
        return self.html + impression_image(f"{self.base}/e/i/{self.tokens[0]}")

    def as_json(self) -> dict[str, Any]:
        slot, entry = self.slot.slot, self.choice.entry
        impression, view, click = self.tokens
        return {
            "slot": slot.name,
            "filled": True,
            "decision": self.id,
            "html": self.html,
            "width": entry.content.width,
            "height": entry.content.height,
            "site": slot.site,
            "campaign": self.choice.campaign.id,
            "creative": entry.creative.id,
            "revision": entry.content.revision,
            "click_url": f"{self.base}/c/{click}",
            "impression_url": f"{self.base}/e/i/{impression}",
            "view_url": f"{self.base}/e/v/{view}",
            "label": slot.label,
            "page_view": self.page_view or new_page_view(),
        }


class Empty(Struct, frozen=True, gc=False):
    """A decision without an ad. `number`, `made` and the rest make its id. `fallback`: a passback was chosen, so the
    page shows its own."""

    slot: Slot
    page_view: str | None
    incarnation: int
    number: int
    made: int
    device: int
    fallback: bool = False

    @property
    def id(self) -> str:
        """There is nothing to count for it, but it can be explained."""
        serial = self.slot.serial
        return empty_id(self.incarnation, self.number, self.made, serial, tag_of(serial), self.device)

    def as_json(self) -> dict[str, Any]:
        return {
            "slot": self.slot.name,
            "filled": False,
            **({"fallback": True} if self.fallback else {}),
            "decision": self.id,
            "html": "",
            "page_view": self.page_view or new_page_view(),
        }


def new_page_view() -> str:
    return secrets.token_urlsafe(12)


def serve_slot(worker: Worker, slot: CompiledSlot, reader: Reader, page: PageView | None = None) -> Filled | Empty:
    """Decides for one slot, counts the request and the serve, mints the tokens. Never waits."""
    now = int(worker.clock())
    width = reader.width
    if width is None and DEVICES[reader.device] == "mobile":
        width = MOBILE_WIDTH
    countable = reader.verdict not in ("bot", "prefetch")
    request = SlotRequest(width, reader.context, countable)
    ledger, serial, draws = worker.ledger, slot.slot.serial, worker.draws
    before = copied(page) if page is not None and page.beside else None
    draws.turns = ()
    choice = decide(slot, request, page, worker.standing, now, draws)
    stood = None if slot.steady else Stood.now(slot, request, worker.standing, now)
    if choice is None or choice.entry.creative.kind == "passback":
        if choice is None:
            why = why_empty(slot, request, page, worker.standing, now)
            ledger.counts.stayed_empty(serial, reader.device, why, now)
        else:  # nothing of its campaign stands on the page, so no `page.add`
            where = Where(serial, choice.entry.content.serial, choice.tier, reader.device)
            ledger.counts.passed_back(choice.campaign.serial, where, now)
        incarnation, number = ledger.spaces.incarnation, worker.journal.number()
        worker.journal.add(
            Decision(slot, request, before, stood, now, draws.point, draws.turns, choice, incarnation, number, now)
        )
        return Empty(slot.slot, reader.page_view, incarnation, number, now, reader.device, choice is not None)
    if page is not None:
        page.add(choice)
    tag = tag_of(choice.campaign.serial)
    issued, ordinal = ledger.spaces.take(tag, now)
    incarnation = ledger.spaces.incarnation
    worker.journal.add(
        Decision(slot, request, before, stood, now, draws.point, draws.turns, choice, incarnation, ordinal, issued)
    )
    at_serve = slot.slot.count_on == "serve"
    serve = Serve(
        incarnation,
        ordinal,
        issued,
        serial,
        choice.entry.content.serial,
        0,
        tag,
        choice.tier,
        reader.device,
        FLAG_SERVED_COUNTS if at_serve else 0,
    )
    ledger.counts.served(serve)
    if at_serve:
        verdict = reader.verdict or "count"
        ledger.enqueue(Event("i", serve, verdict, *money_of(choice.campaign)), now)
    tokens = worker.signer.mint(serve)
    return Filled(slot, choice, decision_id(tokens[0]), tokens, reader.base, reader.page_view)


def money_of(campaign: Any) -> tuple[str, str]:
    """What an impression and a click of a campaign earn now, as fields for the event script."""
    price = campaign.price
    if price is None or price.model == "flat":
        return "", ""
    field = f"m.{price.currency}"
    if price.model == "cpm":
        return f"{field}:{price.micros // 1000}", ""
    return "", f"{field}:{price.micros}"


def serve_page(worker: Worker, slots: list[tuple[str, CompiledSlot | None]], reader: Reader) -> dict[str, Any]:
    """A page: its `page_view`, and its decisions by requested name in `slots`. The slots choose in the
    order of their rank, whatever the order of the request; an unknown one fails alone."""
    if reader.page_view is None:
        reader = replace(reader, page_view=new_page_view())
    page, figures = PageView(), worker.figures
    answers: dict[str, dict[str, Any]] = {}
    known = [(name, slot) for name, slot in slots if slot is not None]
    figures.page_slots_unknown += len(slots) - len(known)
    for name, slot in sorted(known, key=lambda one: (one[1].slot.rank, one[1].slot.serial)):
        made = serve_slot(worker, slot, reader, page)
        if isinstance(made, Filled):
            figures.page_slots_filled += 1
        elif made.fallback:
            figures.page_slots_passback += 1
        else:
            figures.page_slots_empty += 1
        answers[name] = made.as_json()
    found = {name: answers.get(name) or {"slot": name, "filled": False, "error": "unknown_slot"} for name, _ in slots}
    return {"page_view": reader.page_view, "slots": found}
