"""A slot request to a decision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from adserve.core.catalog import CompiledSlot
from adserve.core.context import Context
from adserve.core.decide import Choice, PageView, decide
from adserve.core.explain import why_empty
from adserve.core.frequency import Sight
from adserve.core.journal import Decision, Stood
from adserve.core.model import DEVICES, Slot
from adserve.core.plan import Plan
from adserve.core.report_cells import Where
from adserve.core.rotation import Draws
from adserve.core.slot import SlotRequest
from adserve.core.sticky import key_of
from adserve.core.terms import terms_of
from adserve.core.token import FLAG_SERVED_COUNTS, Key, Serve, decision_id, empty_id
from adserve.core.visitor import sealed
from adserve.flows.frequency import NOBODY, Reading, Who, look, told
from adserve.flows.worker import Worker
from adserve.snippet import impression_image
from adserve.store.keys import tag_of
from adserve.store.spool import event_of

MOBILE_WIDTH = 360
"""CSS pixels of a slot's box on a mobile device whose request says none."""


class Reader(Struct, frozen=True, gc=False):
    """The client of a request, as far as counting and choosing need it."""

    verdict: str | None
    """Why its events would be set aside, or None."""
    device: int
    width: int | None
    """CSS pixels of the widest place that it asks for."""
    page_view: Plan | str | None
    """The plan of an earlier call, or an id of the caller's own making, if it brought one."""
    base: str
    """The origin that links point to."""
    context: Context = Context()
    """What it says of its page and itself, as targeting looks at it."""
    who: Who = NOBODY
    """What it says of the reader, so that campaigns are shown no more often than they may be."""
    asks: SlotRequest | None = None
    """What it asks of any slot, when that was worked out before."""
    widths: Mapping[int, int] | None = None
    """Of single slots, by serial, where a call says one for each."""
    uncounted: bool = False
    """Whether it asked not to be counted: the addresses of its events say so too, clicks among them."""


class Filled(Struct, frozen=True, gc=False):
    """A serve: the decision with its tokens."""

    slot: CompiledSlot
    choice: Choice
    id: str
    tokens: tuple[str, str, str]
    base: str
    counts_on: str = ""
    """The query of its impression and view, when they count for a visitor or are not to count."""
    clicks_on: str = ""
    """That of its click."""
    sight: Sight | None = None
    key: Key | None = None
    """What is known of the reader, and what signs that for its device."""

    @property
    def click_url(self) -> str:
        return f"{self.base}/c/{self.tokens[2]}{self.clicks_on}"

    @property
    def html(self) -> str:
        """The snippet as JSON callers get it: the caller fires the impression."""
        _, view, _ = self.tokens
        view_url = f"{self.base}/e/v/{view}{self.counts_on}"
        return self.choice.entry.snippet.fill(self.id, view_url, self.click_url, self.base)

    @property
    def page_html(self) -> str:
        """The snippet as HTML callers get it, with its own impression image."""
        return self.html + impression_image(f"{self.base}/e/i/{self.tokens[0]}{self.counts_on}")

    def as_json(self, page_view: str) -> dict[str, Any]:
        slot, entry = self.slot.slot, self.choice.entry
        impression, view, _ = self.tokens
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
            "click_url": self.click_url,
            "impression_url": f"{self.base}/e/i/{impression}{self.counts_on}",
            "view_url": f"{self.base}/e/v/{view}{self.counts_on}",
            "label": slot.label,
            "page_view": page_view,
            **told(self.sight, self.key),
        }


class Empty(Struct, frozen=True, gc=False):
    """A decision without an ad. `number`, `made` and the rest make its id. `fallback`: a passback was chosen, so the
    page shows its own."""

    slot: Slot
    incarnation: int
    number: int
    made: int
    device: int
    fallback: bool = False
    sight: Sight | None = None
    key: Key | None = None

    @property
    def id(self) -> str:
        """There is nothing to count for it, but it can be explained."""
        serial = self.slot.serial
        return empty_id(self.incarnation, self.number, self.made, serial, tag_of(serial), self.device)

    def as_json(self, page_view: str) -> dict[str, Any]:
        return {
            "slot": self.slot.name,
            "filled": False,
            **({"fallback": True} if self.fallback else {}),
            "decision": self.id,
            "html": "",
            **({"collapse": True} if self.slot.empty == "collapse" else {}),
            "page_view": page_view,
            **told(self.sight, self.key),
        }


def request_of(reader: Reader, sight: Sight | None = None, slot: CompiledSlot | None = None) -> SlotRequest:
    """What a reader asks of a slot."""
    if slot is not None and reader.widths is not None:
        width = reader.widths.get(slot.slot.serial, reader.width)
        reader = replace(reader, width=width, widths=None, asks=None)
    if slot is not None and slot.sticky:
        return request_of(reader, sight)._replace(sticky=sticky_key(reader))
    if sight is None and reader.asks is not None:
        return reader.asks
    width = reader.width
    if width is None and DEVICES[reader.device] == "mobile":
        width = MOBILE_WIDTH
    countable = reader.verdict not in ("bot", "prefetch")
    if sight is None:
        return SlotRequest(width, reader.context, countable)
    return SlotRequest(width, reader.context, countable, sight.known, sight.tired)


_KNOWN = Sight(known=True)
"""Of a reader who has seen nothing: whatever could serve is looked up."""


def sticky_key(reader: Reader) -> int | None:
    """What always gets the same of a sticky slot: the visitor, or else the page view."""
    if reader.who.visitor is not None:
        return key_of(f"v{reader.who.visitor}")
    if isinstance(reader.page_view, str):
        return key_of(f"p{reader.page_view}")
    return None if reader.page_view is None else reader.page_view.id


def sight_of(worker: Worker, slots: Iterable[CompiledSlot], reader: Reader) -> Sight | Reading | None:
    """What is known of the reader of a call, for all the slots that it asks for; None when there is nothing to know."""
    if reader.who is NOBODY:
        return None
    request = request_of(reader, _KNOWN)
    return look(worker, reader.who, [(slot, request) for slot in dict.fromkeys(slots)])


def serve_slot(
    worker: Worker,
    slot: CompiledSlot,
    reader: Reader,
    page: PageView | None = None,
    sight: Sight | None = None,
    planned: tuple[int, int] | None = None,
    spare: Callable[[], PageView] | None = None,
    seeded: Draws | None = None,
) -> Filled | Empty:
    """Decides for one slot, counts the request and the serve, mints the tokens. Never waits. `sight`: what `sight_of`
    found, to which the serve is added; `planned` for the slot, see `SlotRequest`; `spare`: what the page shows when the
    slot may not stay empty for something that is only planned; `seeded`: draws instead of the worker's."""
    now = int(worker.clock())
    request = request_of(reader, sight, slot)
    if planned is not None:
        request = request._replace(planned=planned)
    ledger, serial, draws = worker.ledger, slot.slot.serial, seeded or worker.draws
    before = page.frozen() if page is not None and page.beside else None
    draws.turns = ()
    choice = decide(slot, request, page, worker.standing, now, draws)
    if choice is None and spare is not None:
        page = spare()
        before = page.frozen()
        draws.turns = ()
        choice = decide(slot, request, page, worker.standing, now, draws)
    stood = None if slot.steady else Stood.now(slot, request, worker.standing, now)
    if choice is None or choice.entry.creative.kind == "passback":
        if choice is None:
            why = why_empty(slot, request, page, worker.standing, now)
            ledger.counts.stayed_empty(serial, reader.device, why, now)
            worker.figures.empty[why] += 1
        else:
            where = Where(serial, choice.entry.content.serial, choice.tier, reader.device)
            ledger.counts.passed_back(choice.campaign.serial, where, now)
        incarnation, number = ledger.spaces.incarnation, worker.journal.number()
        worker.journal.add(
            Decision(slot, request, before, stood, now, draws.point, draws.turns, choice, incarnation, number, now)
        )
        fallback, key = choice is not None, worker.keys[0]
        return Empty(slot.slot, incarnation, number, now, reader.device, fallback, sight, key)
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
        worker.allowances.use(choice.campaign, now) if request.countable else 0,
        tag,
        choice.tier,
        reader.device,
        FLAG_SERVED_COUNTS if at_serve else 0,
    )
    ledger.counts.served(serve)
    visitor = ""
    if choice.campaign.frequency is not None:
        sight = sight or Sight()
        sight.serve(choice.campaign, now)
        visitor = sight.counts_on(choice.campaign.serial)
    if at_serve:
        verdict = reader.verdict or "count"
        ledger.enqueue(event_of("i", serve, verdict, terms_of(choice.campaign), reader=visitor), now)
    tokens = worker.signer.mint(serve)
    key = worker.keys[0]
    counts_on = f"?f={sealed(visitor, tokens[0], key)}" if visitor else ""
    clicks_on = ""
    if reader.uncounted:
        clicks_on = "?internal=1"
        counts_on = f"{counts_on}&internal=1" if counts_on else clicks_on
    return Filled(slot, choice, decision_id(tokens[0]), tokens, reader.base, counts_on, clicks_on, sight, key)
