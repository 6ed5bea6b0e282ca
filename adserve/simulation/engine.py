"""Traffic through the decision in virtual time.

DESIGN. What serves decides here too: compiled slots, `decide`, allowances and plans are those of production; in the
place of the store stands the rule that its scripts follow (`core.grants`), and in the place of the clock the moments of
the traffic. Impressions come back late, or never, as the profile says; so do clicks. What is learned of the traffic is
learned as a service does it: a quarter-hour when it is complete. One worker serves all of it. More of them hold smaller
hands each, which changes what is handed out and not what comes out.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from adserve.core.allowance import Allowances
from adserve.core.catalog import Catalog, CompiledSlot
from adserve.core.curve import Learned, quarter_of
from adserve.core.decide import Choice, PageView, decide
from adserve.core.explain import why_empty
from adserve.core.grants import Ceilings, Quota
from adserve.core.hands import Taken
from adserve.core.hours import hours_of
from adserve.core.model import Campaign
from adserve.core.pacing import Plan, plan_of
from adserve.core.rotation import Draws
from adserve.core.schedule import BUCKET_S, zone
from adserve.core.standing import Standing
from adserve.core.terms import Terms, terms_of
from adserve.flows.curves import Curves, booked
from adserve.simulation.profile import Arrivals, Generator, Profile, Visit

LIFETIME_S = 600
"""Of an impression, as by default."""
OWNER = "1"
RENEWED = 4
"""Quarter-hours after which plans are made of what was learned meanwhile."""
IMPRESSION, CLICK = 0, 1


@dataclass(slots=True)
class Delivery:
    """What came of one campaign."""

    serves: int = 0
    impressions: int = 0
    clicks: int = 0
    late: int = 0
    over_cap: int = 0
    """Impressions and clicks that were set aside, because a goal or cap was reached."""
    dark: list[int] = field(default_factory=list)
    """Quarter-hours (epoch s) in which its slots had requests and it was behind its plan all the while, and nothing of
    it was served."""


@dataclass(slots=True)
class Quarter:
    """One quarter-hour: requests by slot, serves by campaign, and where the campaigns stood at its end."""

    begin: int
    requests: Counter[str] = field(default_factory=Counter)
    serves: Counter[str] = field(default_factory=Counter)
    impressions: dict[str, int] = field(default_factory=dict)
    """Confirmed in all."""
    due: dict[str, int] = field(default_factory=dict)
    """What the plans of campaigns that are paced had come to, in all."""


@dataclass(slots=True)
class Outcome:
    """What came of a simulation. Slots by their ids, campaigns by theirs."""

    decisions: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)
    passbacks: Counter[str] = field(default_factory=Counter)
    empty: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    campaigns: defaultdict[str, Delivery] = field(default_factory=lambda: defaultdict(Delivery))
    shares: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Of a slot, serves by campaign."""
    quarters: list[Quarter] = field(default_factory=list)


class Engine:
    """One run. `history`: what is known of the slots' traffic before it begins, by their serials."""

    def __init__(
        self,
        catalog: Catalog,
        profile: Profile,
        start: int,
        *,
        seed: int = 1,
        history: Mapping[int, Learned] | None = None,
    ) -> None:
        self.outcome = Outcome()
        self._catalog, self._profile = catalog, profile
        self._chance = random.Random(f"outcomes {seed}")  # noqa: S311 - figures, not secrets
        self._draws = Draws(random.Random(f"draws {seed}"))  # noqa: S311 - figures, not secrets
        self._standing = Standing()
        self._learned: dict[int, Learned] = dict(history or {})
        self._curves = Curves()
        self._curves.renew(self._learned, 1)
        self._campaigns = {one.serial: one for one in catalog.things.values() if isinstance(one, Campaign)}
        self._terms: dict[int, Terms] = {serial: terms_of(one) for serial, one in self._campaigns.items()}
        self._limits = {
            serial: (
                Ceilings(one.ceiling.impressions, one.daily.impressions),
                Ceilings(one.ceiling.clicks, one.daily.clicks),
            )
            for serial, one in self._campaigns.items()
        }
        self._quotas: defaultdict[int, Quota] = defaultdict(Quota)
        self._clicks: defaultdict[int, Quota] = defaultdict(Quota)
        self._waiting: list[tuple[int, int, int, int, str, int]] = []
        self._events = 0
        self._second = -1
        self._allowances = Allowances(
            self._standing, lambda: OWNER, lambda one, now: self._curves.of(one, catalog, now), lifetime_s=LIFETIME_S
        )
        for _ in self._allowances.meet(self._campaigns.values(), start):
            pass
        self._paced: list[tuple[Campaign, frozenset[str]]] = []
        names = {slot.slot.serial: slot.slot.id for slot in catalog.slots.values()}
        for campaign in self._campaigns.values():
            if campaign.paces == "even" and campaign.allotted and campaign.state == "active":
                self._paced.append((campaign, frozenset(names[serial] for serial in booked(campaign, catalog))))

    def run(self, traffic: Iterable[Arrivals], say: Callable[[int, int], None] = lambda *_: None) -> Outcome:
        """All of the traffic, quarter-hour by quarter-hour. `say` is told the moment and the decisions so far."""
        for part in traffic:
            quarter = Quarter(part.begin)
            behind = self._behind(part.begin)
            for moment, visit in zip(part.moments, part.visits, strict=True):
                self._catch_up(moment)
                self._page(visit, moment, quarter)
            self._catch_up(part.begin + BUCKET_S - 1)
            self._close(quarter, behind)
            say(part.begin + BUCKET_S, self.outcome.decisions)
        self._confirm_all()
        return self.outcome

    def _page(self, visit: Visit, moment: int, quarter: Quarter) -> None:
        page = PageView() if len(visit.slots) > 1 else None
        outcome, request, countable = self.outcome, visit.request, visit.request.countable
        for slot in visit.slots:
            choice = decide(slot, request, page, self._standing, moment, self._draws)
            name = slot.slot.id
            outcome.decisions += 1
            outcome.requests[name] += 1
            quarter.requests[name] += 1
            if choice is None:
                outcome.empty[name][why_empty(slot, request, page, self._standing, moment)] += 1
                continue
            if page is not None:
                page.add(choice)
            if choice.entry.creative.kind == "passback":
                outcome.passbacks[name] += 1
                continue
            outcome.served[name] += 1
            outcome.shares[name][choice.campaign.id] += 1
            outcome.campaigns[choice.campaign.id].serves += 1
            quarter.serves[choice.campaign.id] += 1
            if countable:
                self._serve(slot, choice, moment)

    def _serve(self, slot: CompiledSlot, choice: Choice, moment: int) -> None:
        """Takes the allowance; its impression comes later, if it comes."""
        campaign, profile, chance = choice.campaign, self._profile, self._chance
        grant = self._allowances.use(campaign, moment)
        if self._allowances.next_look <= moment:
            self._keep(moment)
        if chance.random() >= profile.rendered:
            return
        delay = 0.0 if slot.slot.count_on == "serve" else chance.expovariate(1 / max(profile.delay_s, 0.001))
        if delay > LIFETIME_S or chance.random() < profile.late:
            self.outcome.campaigns[campaign.id].late += 1
            return
        day = self._terms[campaign.serial].day(moment)
        self._events += 1
        event = (moment + int(delay), self._events, IMPRESSION, campaign.serial, f"{OWNER}:{grant}", day)
        heapq.heappush(self._waiting, event)

    def _catch_up(self, moment: int) -> None:
        """What happens until a moment: events come, allowances are kept."""
        while self._waiting and self._waiting[0][0] <= moment:
            self._confirm(heapq.heappop(self._waiting))
        if self._allowances.next_look <= moment:
            self._keep(moment)
        if moment != self._second:
            self._second = moment
            self._allowances.renew_needs()

    def _keep(self, moment: int) -> None:
        while takings := self._allowances.due(moment):
            for taking in takings:
                quoted = self._quotas[taking.campaign].take(taking.ask, moment, taking.returned)
                clicks = self._clicks[taking.campaign]
                taken = Taken(quoted, clicks.total, clicks.days.get(taking.ask.day, 0))
                self._allowances.took(taking, taken, moment)

    def _confirm(self, event: tuple[int, int, int, int, str, int]) -> None:
        """An impression or a click, counted as the store does."""
        moment, _, kind, serial, grant, day = event
        campaign = self._campaigns[serial]
        told = self.outcome.campaigns[campaign.id]
        if kind == CLICK:
            counted = self._clicks[serial].confirm("", day, moment, self._limits[serial][CLICK])
            told.clicks += counted
            told.over_cap += not counted
            return
        if not self._quotas[serial].confirm(grant, day, moment, self._limits[serial][IMPRESSION]):
            told.over_cap += 1
            return
        told.impressions += 1
        if self._chance.random() < self._profile.clicks:
            self._events += 1
            later = int(self._chance.expovariate(1 / max(self._profile.click_delay_s, 0.001)))
            heapq.heappush(self._waiting, (moment + later, self._events, CLICK, serial, grant, day))

    def _confirm_all(self) -> None:
        while self._waiting:
            self._confirm(heapq.heappop(self._waiting))

    def _plan(self, campaign: Campaign, moment: int) -> Plan:
        return plan_of(campaign, self._curves.of(campaign, self._catalog, moment))

    def _lag(self, campaign: Campaign, moment: int, at: int) -> int:
        """By how many impressions what is confirmed and what open grants will confirm lie behind the plan of a
        moment."""
        quota, day = self._quotas[campaign.serial], self._terms[campaign.serial].day(at)
        stood = quota.stands(0, day)
        return self._plan(campaign, at).due(moment, stood.total, stood.today) - stood.today - stood.likely

    def _behind(self, begin: int) -> list[tuple[Campaign, frozenset[str]]]:
        """The paced campaigns that a quarter-hour finds behind their plan."""
        return [(one, slots) for one, slots in self._paced if self._lag(one, begin, begin) > 0]

    def _close(self, quarter: Quarter, behind: list[tuple[Campaign, frozenset[str]]]) -> None:
        """Ends a quarter-hour: what it tells of plans, and what is learned of its requests."""
        begin, last = quarter.begin, quarter.begin + BUCKET_S - 1
        for campaign, slots in behind:
            hours = hours_of(campaign.target.hours, campaign.zone) if campaign.target is not None else None
            asked = any(quarter.requests[name] for name in slots)
            if hours is not None and hours.open_seconds(begin, begin + BUCKET_S) < BUCKET_S:
                continue
            if asked and not quarter.serves[campaign.id] and self._lag(campaign, begin, begin) > 0:
                self.outcome.campaigns[campaign.id].dark.append(begin)
        for campaign, _ in self._paced:
            quota, day = self._quotas[campaign.serial], self._terms[campaign.serial].day(last)
            today = quota.days.get(day, 0)
            quarter.impressions[campaign.id] = quota.total
            due = self._plan(campaign, last).due(last, quota.total, today)
            quarter.due[campaign.id] = quota.total - today + due
        self.outcome.quarters.append(quarter)
        learn(self._learned, self._catalog, quarter.requests, begin)
        if len(self.outcome.quarters) % RENEWED == 0:
            self._curves.renew(self._learned, begin)


def learn(learned: dict[int, Learned], catalog: Catalog, requests: Mapping[str, int], begin: int) -> None:
    """A quarter-hour that is complete, as a service folds it."""
    for slot in catalog.slots.values():
        quarter = quarter_of(begin, zone(slot.site.timezone))
        before = learned.get(slot.slot.serial, Learned())
        learned[slot.slot.serial] = before.seen([(quarter, requests.get(slot.slot.id, 0))], begin + BUCKET_S)


def history(catalog: Catalog, profile: Profile, start: int, weeks: int, seed: int) -> dict[int, Learned]:
    """What a service would have learned of such traffic in the weeks before."""
    learned: dict[int, Learned] = {}
    for part in Generator(profile, catalog, seed + 1_000_000).arrivals(start - weeks * 7 * 86_400, start):
        learn(learned, catalog, Counter(slot.slot.id for visit in part.visits for slot in visit.slots), part.begin)
    return learned
