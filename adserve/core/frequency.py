"""How often one reader has seen the campaigns that say how often they may be seen.

A window begins with its first impression and is over `window_s` later; the next impression begins another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

from adserve.core.model import Campaign, Frequency

Mode = Literal["visitor", "device", "none"]
"""By what a reader is known: an id that the caller sent, what the device itself brings along, or not at all."""
MAX_CAMPAIGNS = 1_000
"""Campaigns that are looked up for one request; a reader of more has had enough of the rest."""
_STORED = re.compile(r"([0-9]{1,9}):([0-9]{1,11})")
NOBODY_TIRED: frozenset[int] = frozenset()


class Shown(NamedTuple):
    """Impressions in a window, and when it began (epoch s); `window_s` is its length as it was then, 0 unknown."""

    times: int
    start: int
    window_s: int = 0

    def is_open(self, frequency: Frequency, now: int) -> bool:
        """Whether its window is not over."""
        return now < self.start + frequency.window_s


def stored(text: str) -> Shown:
    """What the store has of a reader and a campaign. ValueError when it is none of that.

    >>> stored("2:1800000000")
    Shown(times=2, start=1800000000, window_s=0)
    """
    found = _STORED.fullmatch(text)
    if found is None:
        raise ValueError("not COUNT:START")
    return Shown(int(found[1]), int(found[2]))


class Sight:
    """What is known of the reader of one call, a slot's or a page's, and what the call itself adds to it: a page
    whose slots may repeat a campaign shows it no more often than is left."""

    __slots__ = ("_digests", "_places", "known", "mode", "private", "shown", "tired")

    def __init__(self, mode: Mode = "none", *, known: bool = False, private: bool = False) -> None:
        self.mode: Mode = mode
        self.known = known
        """Whether anything is known of the reader; when not, campaigns decide by their `unknown`."""
        self.private = private
        """Nothing may be known of the reader, nor be handed out to be kept."""
        self.tired: frozenset[int] | None = NOBODY_TIRED
        """Serials of the campaigns that the reader has seen often enough, or of which that could not be told; None when
        it could be told of none."""
        self.shown: dict[int, Shown] = {}
        """By the serial of a campaign; open windows alone."""
        self._digests: tuple[str, ...] = ()
        self._places: dict[int, int] = {}

    @classmethod
    def of_device(
        cls, seen: Mapping[int, Shown], campaign_of: Callable[[int], Campaign | None], now: int, *, known: bool
    ) -> Sight:
        """By what a device brings along. Windows that are over, and campaigns that have no limit any more, are
        forgotten. `campaign_of` tells the campaigns of the slots that are asked for, by serial."""
        sight = cls("device", known=known)
        tired = []
        for serial, shown in seen.items():
            campaign = campaign_of(serial)
            if campaign is None:
                if now < shown.start + shown.window_s:
                    sight.shown[serial] = shown
            elif campaign.frequency is not None and shown.is_open(campaign.frequency, now):
                sight.shown[serial] = shown
                if shown.times >= campaign.frequency.limit:
                    tired.append(serial)
        sight.tired = frozenset(tired)
        return sight

    @classmethod
    def of_visitor(
        cls,
        digests: tuple[str, ...],
        campaigns: Iterable[Campaign],
        found: Mapping[int, tuple[Shown | None, ...]],
        now: int,
    ) -> Sight:
        """By what the store has under each of the digests of a visitor, the newest first. A campaign that `found`
        lacks could not be looked up, and is out. A window that began under an earlier digest goes on under that."""
        sight = cls("visitor", known=True)
        sight._digests = digests
        tired = []
        campaigns = list(campaigns)
        if campaigns and not found:
            sight.tired = None
            return sight
        for campaign in campaigns:
            frequency, serial = campaign.frequency, campaign.serial
            if frequency is None:
                continue
            if serial not in found:
                tired.append(serial)
                continue
            open_ = [
                (place, shown)
                for place, shown in enumerate(found[serial])
                if shown is not None and shown.is_open(frequency, now)
            ]
            if not open_:
                continue
            count = sum(shown.times for _, shown in open_)  # two windows: one began while the salt changed
            sight._places[serial], oldest = open_[-1]
            sight.shown[serial] = Shown(count, oldest.start)
            if count >= frequency.limit:
                tired.append(serial)
        sight.tired = frozenset(tired)
        return sight

    def counts_on(self, serial: int) -> str:
        """The digest of the visitor that an impression of a campaign is to be counted on; nothing without one."""
        return self._digests[self._places.get(serial, 0)] if self._digests else ""

    def serve(self, campaign: Campaign, now: int) -> None:
        """Takes note of a serve of this call. Of a reader of whom nothing is known a device begins to remember."""
        frequency, serial = campaign.frequency, campaign.serial
        if frequency is None or self.private:
            return
        if self.mode == "none":
            self.mode = "device"
        shown = self.shown.get(serial)
        if shown is None or not shown.is_open(frequency, now):
            shown = Shown(0, now)
        self.shown[serial] = shown = Shown(shown.times + 1, shown.start, frequency.window_s)
        if shown.times >= frequency.limit and self.tired is not None:
            self.tired |= {serial}

    def leave_out(self, serials: Iterable[int]) -> None:
        """Campaigns of which nothing was asked."""
        if self.tired is not None:
            self.tired = self.tired.union(serials)
