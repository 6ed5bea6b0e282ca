"""Codes and names of figures in words: the one place where pages have them from."""

from __future__ import annotations

from adserve.core.explained import OTHER
from adserve.core.explanation import CHOSEN, PASSBACK
from adserve.core.reasons import Reason

REASONS: dict[str, tuple[str, str]] = {
    Reason.PAUSED: ("paused", "The site, slot, campaign or creative is paused, or its advertiser archived: resume it."),
    Reason.NO_CANDIDATES: ("nothing books it", "No campaign books this slot: add it to one."),
    Reason.NOT_STARTED: ("not started", "Its start lies ahead: wait, or change the start."),
    Reason.ENDED: ("ended", "Its end has passed: change the end to go on."),
    Reason.OUT_OF_HOURS: ("out of hours", "Its hours of the week do not hold now: look at its targeting."),
    Reason.NOT_APPROVED: ("not approved", "Nobody has approved it: it waits for review, or was rejected."),
    Reason.SIZE: ("does not fit", "It has no size of the slot, or is wider than the place on the page."),
    Reason.WEIGHT_ZERO: ("weight 0", "Campaign or creative has weight 0: it never serves."),
    Reason.TARGET_LABELS: ("labels", "The page's labels do not match its rule: compare both."),
    Reason.TARGET_URLS: ("address", "The page's address does not match its rule."),
    Reason.TARGET_LANGUAGES: ("language", "The page's language does not match its rule."),
    Reason.TARGET_COUNTRIES: ("country", "The reader's country does not match its rule, or is not known."),
    Reason.TARGET_DEVICES: ("device", "The reader's device does not match its rule."),
    Reason.TARGET_KV: ("key-values", "The page's key-values do not match its rule."),
    Reason.CAP_TOTAL: ("cap reached", "It has had all that its total cap allows."),
    Reason.CAP_DAILY: ("daily cap reached", "It has had what its daily cap allows: it goes on tomorrow."),
    Reason.GOAL_REACHED: ("goal reached", "It has delivered its goal: raise the goal to go on."),
    Reason.PACING: ("ahead of plan", "It is ahead of its plan, or waits a moment for its next allowance."),
    Reason.FREQUENCY: ("seen enough", "This reader has seen it as often as its frequency allows, or is not known."),
    Reason.ALREADY_ON_PAGE: ("already on the page", "It stands elsewhere on this page view: see the slot's repeat."),
    Reason.EXCLUDED: ("excluded", "It may not stand beside something that is on this page view."),
    Reason.COMPANIONS: ("companions", "The others of its set have no place on this page, and they stand together."),
    Reason.LOWER_TIER: ("another came first", "A higher tier, or a goal behind its plan, came first."),
    CHOSEN: ("chosen", "It was chosen."),
    PASSBACK: ("passback", "The page's own fallback was chosen."),
    OTHER: ("other campaigns", "Campaigns of others."),
}
"""Code to a few words, and to what it means and what to do about it."""

FIGURES: dict[str, tuple[str, str]] = {
    "requests": ("Requests", "Slots asked for: serves, passbacks and empty together."),
    "empty": ("Empty", "Requests that got no creative. Split by the reason to see why."),
    "serves": ("Serves", "Requests that got a creative."),
    "impressions": ("Impressions", "Creatives that began to render in a browser, without invalid traffic."),
    "views": ("Views", "Impressions of which half the pixels were seen for a second, without invalid traffic."),
    "measurable": ("Measurable", "Impressions whose view could be measured."),
    "clicks": ("Clicks", "Measured redirects to the landing page, without invalid traffic."),
    "clicks_unseen": ("Clicks unseen", "The clicks among them whose impression did not come."),
    "filtered": ("Invalid", "Impressions, views and clicks set aside as invalid traffic. Split by filter reason."),
    "late": ("Late", "Events that came after their lifetime: in no other figure."),
    "duplicates": ("Duplicates", "Events that came again: in no other figure."),
    "passbacks": ("Passbacks", "Requests that were handed back to the page's own fallback."),
    "fill_rate": ("Fill rate", "Serves of all requests."),
    "ctr": ("CTR", "Clicks of all impressions."),
    "viewability": ("Viewability", "Views of all measurable impressions."),
    "ecpm": ("eCPM", "Revenue for 1,000 impressions."),
    "revenue": ("Revenue", "What was earned, at the prices of the time."),
    "currency": ("Currency", "Of revenue and eCPM."),
}
"""Figure of a report to its head and its definition."""

RATES = ("fill_rate", "ctr", "viewability")
UNKNOWN = {
    "requests": "requests belong to a slot, not to what is split or filtered below it",
    "empty": "requests belong to a slot, not to what is split or filtered below it",
    "fill_rate": "requests belong to a slot, or there was none",
    "ctr": "there was no impression",
    "viewability": "there was no impression",
    "ecpm": "there was no impression, or a flat price has no share here",
    "revenue": "a flat price has no share here, or the money is of several currencies",
    "currency": "no price is known, or there are several",
}
"""Figure to why a dash stands in its place."""

DIMENSIONS: dict[str, str] = {
    "hour": "hour", "day": "day", "week": "week", "month": "month", "site": "site", "slot": "slot",
    "advertiser": "advertiser", "campaign": "campaign", "creative": "creative", "revision": "revision", "tier": "tier",
    "device": "device", "filter_reason": "why invalid", "empty_reason": "why empty",
}  # fmt: skip
"""Split of a report to its words."""

FILTERED: dict[str, str] = {
    "bot": "robot", "prefetch": "prefetch", "internal": "internal", "rate": "too many clicks", "cap": "beyond a cap",
}  # fmt: skip
"""Why an event was set aside."""


def reason(code: str | None) -> str:
    """A code in a few words; the code itself when it is none of ours.

    >>> reason("size"), reason("bot"), reason(None)
    ('does not fit', 'robot', '')
    """
    if code is None:
        return ""
    return REASONS[code][0] if code in REASONS else FILTERED.get(code, code.replace("_", " "))


def advice(code: str | None) -> str:
    """What a code means, and what to do."""
    return REASONS[code][1] if code in REASONS else ""


def rate(value: float | None) -> str | None:
    """A rate as percent; None stays None.

    >>> rate(0.025), rate(0), rate(0.00012)
    ('2.50 %', '0.00 %', '0.012 %')
    """
    if value is None:
        return None
    return f"{value * 100:.2f} %" if value == 0 or value >= 0.0005 else f"{value * 100:.2g} %"
