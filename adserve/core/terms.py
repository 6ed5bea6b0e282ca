"""What the counting of a campaign's events has to know of it: what they earn, and what it may have."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from adserve.core.model import Campaign
from adserve.core.schedule import bucket_of, local_day, zone


class Terms(NamedTuple):
    """`cpm` and `cpc`: what an impression and a click earn, as fields of the event script; `limits`: its ceilings of
    impressions in all and of the day and of clicks likewise (`-` for none), empty without any; `window_s`: of its
    frequency, 0 without one."""

    cpm: str
    cpc: str
    campaign: int
    limits: str
    window_s: int
    zone: str

    def day(self, moment: int) -> int:
        """The ordinal of the campaign's local day."""
        return _day(self.zone, bucket_of(moment))


NO_TERMS = Terms("", "", 0, "", 0, "UTC")


def terms_of(campaign: Campaign) -> Terms:
    """The terms of a campaign as it is now."""
    cpm, cpc = _money(campaign)
    window_s = campaign.frequency.window_s if campaign.frequency is not None else 0
    return Terms(cpm, cpc, campaign.serial, _limits(campaign), window_s, campaign.zone)


def _money(campaign: Campaign) -> tuple[str, str]:
    price = campaign.price
    if price is None or price.model == "flat":
        return "", ""
    field = f"m.{price.currency}"
    if price.model == "cpm":
        return f"{field}:{price.micros // 1000}", ""
    return "", f"{field}:{price.micros}"


def _limits(campaign: Campaign) -> str:
    if not campaign.limited:
        return ""
    total, daily = campaign.ceiling, campaign.daily
    found = (total.impressions, daily.impressions, total.clicks, daily.clicks)
    return ":".join("-" if one is None else str(one) for one in found)


@lru_cache(maxsize=20_000)
def _day(zone_name: str, bucket: int) -> int:
    """Every offset in use is a multiple of a quarter-hour, so all of one lies in one day."""
    try:
        tz = zone(zone_name)
    except ValueError:  # spoilt in the store: an event is counted all the same
        tz = zone("UTC")
    return local_day(bucket, tz).toordinal()
