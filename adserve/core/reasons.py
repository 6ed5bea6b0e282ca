"""Why a candidate lost, and why a slot is empty. The codes are public and stable."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """In the order in which they are looked at. The reason of a candidate is the first that holds, that of an empty
    slot the one of the candidate which came furthest."""

    PAUSED = "paused"
    NO_CANDIDATES = "no_candidates"
    """Of a slot alone: nothing books it."""
    NOT_STARTED = "not_started"
    ENDED = "ended"
    OUT_OF_HOURS = "out_of_hours"
    NOT_APPROVED = "not_approved"
    SIZE = "size"
    WEIGHT_ZERO = "weight_zero"
    TARGET_LABELS = "target_labels"
    TARGET_URLS = "target_urls"
    TARGET_LANGUAGES = "target_languages"
    TARGET_COUNTRIES = "target_countries"
    TARGET_DEVICES = "target_devices"
    TARGET_KV = "target_kv"
    CAP_TOTAL = "cap_total"
    CAP_DAILY = "cap_daily"
    GOAL_REACHED = "goal_reached"
    PACING = "pacing"
    """Ahead of its plan, or waiting for its next allowance."""
    FREQUENCY = "frequency"
    ALREADY_ON_PAGE = "already_on_page"
    EXCLUDED = "excluded"
    COMPANIONS = "companions"
    """The rest of its companion set has no place on the page."""
    LOWER_TIER = "lower_tier"
    """Of a candidate alone: another tier, or a goal behind its plan, came first."""
