"""What one worker holds of the goals and caps of campaigns, and what it asks for next.

DESIGN. A campaign with a goal or cap of impressions serves from a *hand*: a grant of the store, taken ahead. While a
hand has something left the campaign is open in `Standing`; so pacing needs nothing more than that no hand is given
beyond the plan. A hand is renewed when half of it is used, and asked for by how fast it goes; what is not used when its
time is over, at the end of the campaign's day, or while nothing is left for others, goes back. Campaigns that only
clicks limit hold nothing: how they stand is asked once a second. A campaign that is new is closed until the store has
said how it stands.

No clock, no store: who runs this says what time it is, sends what is `due` and tells what came of it. An asking that
got no answer is sent again as it was, which the store knows by the grant's name.
Not chosen: a script call for each serve (the hot path would wait for the store), one share a worker of the whole cap
(what is not used where traffic is low is lost).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Iterable

from adserve.core.curve import Curve
from adserve.core.grants import Ask, Ceilings
from adserve.core.hands import AGAIN_S, Account, Hand, Taken, Taking, reached, until_due, why_closed
from adserve.core.model import Campaign
from adserve.core.pacing import plan_of
from adserve.core.reasons import Reason
from adserve.core.standing import Standing

GRANT_S = 60
"""How long a grant serves."""
GRACE_S = 60
"""After its last impression may come, a grant is open still: clocks and queues."""
FIRST = 32
"""Asked for while nothing is known of how fast it goes."""
HORIZON_S = 5
IDLE_S = 2
"""After which an unused hand is given back, when nothing is left for others; a second later it is asked for again."""
LATER_S, MANY = 5.0, 2_000
"""Until the next look at each of campaigns that are so many."""
DONE_S, PLAN_S = 30.0, 300
"""Until the next look at one that has reached its end; how long a plan is kept: the curves learn."""
PIECE = 100
NO_GRANT = "-"
"""As the name of a grant: none is asked for, but how the campaign stands."""


class Allowances:
    """Of one worker. `owner` names its incarnation; `curve_of` the curve of a campaign's requests; `lifetime_s` is that
    of an impression; `wake` is called when something is due at once."""

    def __init__(
        self,
        standing: Standing,
        owner: Callable[[], str],
        curve_of: Callable[[Campaign, int], Curve | None],
        *,
        workers: int = 1,
        lifetime_s: int = 600,
        grant_s: int = GRANT_S,
        grace_s: int = GRACE_S,
    ) -> None:
        self._standing, self._owner, self._curve_of = standing, owner, curve_of
        self._workers, self._lifetime_s, self._grant_s, self._grace_s = workers, lifetime_s, grant_s, grace_s
        self._accounts: dict[int, Account] = {}
        self._queue: list[tuple[float, int]] = []
        self._number = 0
        self._latest = 0.0
        self._needs_changed = False
        self.wake: Callable[[], None] = lambda: None
        self.taken = self.returned = 0
        """Allowances that were taken, and given back unused."""

    def __len__(self) -> int:
        return len(self._accounts)

    def meet(self, campaigns: Iterable[Campaign], now: float) -> Generator[None, None, None]:
        """Takes the campaigns of a new catalog, before anything is chosen from it: one that is new is closed. Yields
        between pieces of work."""
        met: set[int] = set()
        for at, campaign in enumerate(campaigns):
            if at % PIECE == PIECE - 1:
                yield
            serial = campaign.serial
            account = self._accounts.get(serial)
            if account is not None and account.campaign is campaign:
                met.add(serial)
            elif campaign.limited and campaign.state == "active" and (campaign.ends_at or now + 1) > now:
                met.add(serial)
                if account is None:
                    account = self._accounts[serial] = Account(campaign)
                    self._standing.close(serial, Reason.PACING)
                account.renew(campaign)
                self._plan_next(account, now)
        for at, serial in enumerate([serial for serial in self._accounts if serial not in met]):
            if at % PIECE == PIECE - 1:
                yield
            if (account := self._accounts.get(serial)) is None:  # given back meanwhile
                continue
            account.put_back(lambda _: True)
            account.gone = True
            if account.back or account.asking is not None:
                self._standing.close(serial, Reason.PACING)
                self._plan_next(account, now)
            else:
                self._forget(serial)
        self.wake()

    def use(self, campaign: Campaign, now: int) -> int:
        """Takes one serve out of the hand; the number of its grant for the token, 0 where the campaign needs none or
        has none left."""
        account = self._accounts.get(campaign.serial)
        if account is None or not account.allotted:
            return 0
        account.used += 1
        account.used_at = now
        owner = self._owner()
        while account.hands:
            hand = account.hands[0]
            if hand.left and now < hand.until and hand.owner == owner:
                hand.left -= 1
                if not hand.left:
                    account.hands.pop(0)
                left = account.left
                if left * 2 <= account.mark:
                    account.mark = 0
                    self._hurry(account, now)
                if not left:
                    self._standing.close(campaign.serial, Reason.PACING)
                return hand.number
            account.put_back(lambda one, gone=hand: one is gone)  # type: ignore[misc]
        self._standing.close(campaign.serial, Reason.PACING)
        self._hurry(account, now)
        return 0

    def due(self, now: float, most: int = 200) -> list[Taking]:
        """What is to be sent now. When the clock was set back everything is: what was planned is too far away."""
        found: list[Taking] = []
        if now < self._latest - AGAIN_S:
            self._queue.clear()
            for one in self._accounts.values():
                self._plan_next(one, now)
        self._latest = now
        while self._queue and self._queue[0][0] <= now and len(found) < most:
            when, serial = heapq.heappop(self._queue)
            account = self._accounts.get(serial)
            if account is None or account.next != when:
                continue  # another look was planned since
            account.next = -1.0
            taking = account.asking or self._taking(account, now)
            account.asking = taking
            found.append(taking)
        return found

    def took(self, taking: Taking, taken: Taken | None, now: float) -> None:
        """What came of a taking; None where the store holds something else than it should."""
        account = self._accounts.get(taking.campaign)
        if account is None or account.asking is not taking:
            return
        account.asking = None
        for name in taking.returned:
            account.back.pop(name, None)
        if taken is None:
            self._standing.close(taking.campaign, Reason.PACING)
            self._plan_next(account, now + LATER_S)
            return
        size = taken.quoted.size
        if size and taking.ask.asked:
            owner, _, number = taking.ask.grant.partition(":")
            self.taken += size
            account.hands.append(Hand(owner, int(number), size, taking.ask.until))
            account.used_at = max(account.used_at, int(now))
        account.planned_out = taking.ask.plan is not None and size < taking.ask.asked
        if account.gone:
            account.put_back(lambda _: True)
            if account.back:
                self._plan_next(account, now)
            else:
                self._forget(taking.campaign)
            return
        account.mark = account.left
        if account.stood is None and account.paced:
            account.again = True  # its plan can be told now
        self._judge(account, taken, int(now))
        self._plan_next(account, self._next_look(account, now))

    @property
    def next_look(self) -> float:
        """The moment at which something is due at the earliest."""
        return self._queue[0][0] if self._queue else float("inf")

    def lost(self, takings: Iterable[Taking], now: float) -> None:
        """Takings that got no answer: they are sent again as they were."""
        for taking in takings:
            account = self._accounts.get(taking.campaign)
            if account is not None and account.asking is taking:
                self._plan_next(account, now + AGAIN_S / 4)

    def all_back(self, now: int) -> list[Taking]:
        """Gives back everything: the worker ends."""
        found = []
        for account in self._accounts.values():
            account.put_back(lambda _: True)
            self._standing.close(account.campaign.serial, Reason.PACING)
            if account.asking is not None and account.asking.ask.asked:
                account.back[account.asking.ask.grant] = 0  # its answer comes too late, or never
            if account.back:
                ask = Ask(NO_GRANT, 0, account.day or 1, Ceilings(None, None), None, now, now, 1)
                found.append(Taking(account.campaign.serial, ask, dict(account.back)))
        return found

    def renew_needs(self) -> None:
        """Tells what goals still need, when that has changed since it was told last."""
        if self._needs_changed:
            self._needs_changed = False
            accounts = self._accounts.items()
            self._standing.renew({serial: account.need for serial, account in accounts if account.need})

    def _hurry(self, account: Account, now: float) -> None:
        """Its next look is due at once, or when the answer that is on its way has come. One that its plan holds back is
        looked at once a second: else it would ask for each serve, and each would be a grant of its own."""
        if account.asking is not None:
            account.again = True
        elif account.planned_out and now < account.looked + AGAIN_S:
            self._plan_next(account, account.looked + AGAIN_S)
        else:
            self._plan_next(account, now)
            self.wake()

    def _plan_next(self, account: Account, when: float) -> None:
        account.next = when
        heapq.heappush(self._queue, (account.next, account.campaign.serial))

    def _taking(self, account: Account, now: float) -> Taking:
        """What is to be asked of a campaign."""
        campaign, moment = account.campaign, int(now)
        if not account.day_begins <= moment < account.day_ends:
            account.turn_day(moment)
        owner = self._owner()
        held = account.left
        idle = held > 0 and account.scarce and abs(moment - account.used_at) >= IDLE_S
        account.put_back(lambda hand: hand.until - 1 <= moment or hand.owner != owner or idle or account.gone)
        self.returned += held - account.left
        if held and not account.hands:
            self._standing.close(campaign.serial, Reason.PACING)
        if account.plan is None or now - account.planned >= PLAN_S:
            account.plan, account.planned = plan_of(campaign, self._curve_of(campaign, moment)), now
        passed = now - account.looked
        if account.looked and passed > 0:
            account.rate = max(account.rate / 2, account.used / max(passed, 0.05))
        account.used, account.looked, account.again = 0, now, False
        asked, plan = 0, None
        ready = account.stood is not None or not account.paced
        if account.allotted and ready and not (idle or account.gone):
            asked = max(0, max(FIRST, int(account.rate * HORIZON_S)) - account.left)
        if asked and account.paced and account.plan is not None and account.stood is not None:
            stood = account.stood.quoted
            plan = account.plan.due(moment, stood.total, stood.today)
        name = NO_GRANT
        if asked:
            self._number = self._number % 0xFFFF_FFFF + 1
            name = f"{owner}:{self._number}"
        until = min(moment + self._grant_s, account.day_ends)
        ask = Ask(
            name, asked, account.day, account.ceilings, plan, until, until + self._lifetime_s + self._grace_s,
            self._workers
        )
        return Taking(campaign.serial, ask, dict(account.back))

    def _judge(self, account: Account, taken: Taken, now: int) -> None:
        """Opens or closes it, by how it stands."""
        account.stood = taken
        reason = why_closed(account, taken, now)
        if reason is None:
            self._standing.open(account.campaign.serial)
        else:
            self._standing.close(account.campaign.serial, reason)
        quoted, plan, goal = taken.quoted, account.plan, account.campaign.goal
        if goal is not None and plan is not None:
            by_clicks = plan.counts == "clicks"
            total, today = (taken.clicks, taken.clicks_today) if by_clicks else (quoted.total, quoted.today)
            need = plan.need(now, total, today)
            self._needs_changed = self._needs_changed or need != account.need
            account.need = need
        in_all, daily = account.ceilings
        account.scarce = reached(quoted.total + quoted.open, in_all) or reached(quoted.today + quoted.open_today, daily)

    def _next_look(self, account: Account, now: float) -> float:
        """When it is to be looked at again, if nothing happens before."""
        stood = account.stood
        if stood is None or (account.again and not account.planned_out):
            return now
        if account.again:
            return now + AGAIN_S
        soon = AGAIN_S if len(self._accounts) <= MANY else LATER_S
        by_clicks = account.ceiling.clicks is not None or account.daily.clicks is not None
        if account.hands:
            wait = min(hand.until for hand in account.hands) - 1 - now
            wait = min(wait, IDLE_S) if account.scarce else wait
            wait = min(wait, soon) if by_clicks else wait
        elif account.allotted and (
            reached(stood.quoted.total, account.ceilings.total) or reached(stood.quoted.today, account.ceilings.daily)
        ):
            wait = DONE_S
        elif account.paced:
            wait = max(soon, until_due(account, stood.quoted, int(now)))
        else:
            wait = soon
        return min(now + max(wait, 0.05), max(account.day_ends, now + 0.05))

    def _forget(self, serial: int) -> None:
        del self._accounts[serial]
        self._standing.open(serial)
