"""What callers may write of each kind of object: its members, each with its check.

Defaults, and whether a member is required, are the model's. Ids, parents in a path and whatever needs the store
are looked at in the flows.
"""

from __future__ import annotations

from adserve.core import goals, target_checks
from adserve.core import validate as v
from adserve.core.access import ROLES, SCOPES
from adserve.core.form import Field, Fields, fields_of
from adserve.core.model import (
    MAX_MARKUP,
    MAX_SIDE,
    MAX_WEIGHT,
    Advertiser,
    Campaign,
    Creative,
    CreativeKind,
    Site,
    Slot,
)

_NAME = v.text(200).noted("What reports and people call it.", examples=["Spring"])
_STATE = v.one_of("active", "paused", "archived").noted("Only what is active serves.")
_WEIGHT = v.whole(0, MAX_WEIGHT).noted("Its share among those of one tier or campaign; 0 never serves.")
_STARTS = v.moment_text.noted("A local date or an RFC 3339 time, from which on it serves.")
_ENDS = v.moment_text.noted("A local date or an RFC 3339 time, from which on it serves no more.")

SITE: Fields = fields_of(
    Site,
    name=_NAME,
    origins=v.list_of(v.origin, 100).noted("Where its pages live. Stored, without effect yet."),
    timezone=v.timezone.noted("The IANA zone of its days."),
    clients=v.one_of("browser", "app").noted("`app` also counts events of clients that are no browser."),
    unlabelled=v.one_of("serve", "block").noted("Whether what excludes labels or addresses serves on pages without."),
    state=_STATE,
)
SLOT: Fields = fields_of(
    Slot,
    title=v.text(200, empty=True).noted("What people call it.", examples=["Top of the page"]),
    sizes=v.list_of(v.size, 50).noted("Sizes of pictures that it takes, in CSS pixels."),
    label=v.text(60, empty=True).noted("The visible word above what it shows."),
    rank=v.whole(1, 1_000_000).noted("The order in which slots of a page choose. Left out: the order of creation."),
    rotation=v.one_of("even", "random", "sticky").noted("How creatives take turns."),
    empty=v.one_of("keep", "collapse").noted(
        "What becomes of it when it stays empty. `collapse`: the tag closes it where nothing in view moves."
    ),
    repeat=v.one_of("never", "creative", "any").noted(
        "What a page view may show twice: `never` no campaign, `creative` no creative, `any` all."
    ),
    count_on=v.one_of("impression", "serve").noted("`serve` makes the serve itself the impression."),
    max_kb=v.whole(1, 1000).noted("What a picture may weigh, in 1,000 bytes."),
    state=_STATE,
)
ADVERTISER: Fields = fields_of(
    Advertiser,
    name=_NAME,
    categories=v.list_of(goals.word, 50).noted("Free words; its campaigns have them too."),
    state=v.one_of("active", "archived").noted("`archived`: out of use."),
)
CAMPAIGN: Fields = fields_of(
    Campaign,
    advertiser=v.check_id.noted("Whose it is; never changes.", examples=["acme"]),
    name=_NAME,
    tier=v.one_of("sponsor", "standard", "remnant", "house").noted("Strict: a later tier serves what an earlier left."),
    weight=_WEIGHT,
    slots=v.list_of(v.place, 500).noted("What it books: `site/slot`, or `site/*` for all of a site."),
    timezone=v.timezone.noted("Left out: that of its sites, which must then agree."),
    starts=_STARTS,
    ends=_ENDS,
    goal=goals.goal.noted("A target and a ceiling: impressions, clicks, or percent of the requests of each slot."),
    caps=goals.caps.noted("Ceilings, in all and for a local day of its zone."),
    pacing=v.one_of("even", "asap").noted("Left out: `even` with a goal and an end, else `asap`."),
    frequency=goals.frequency.noted("What a reader is shown at most, in a window that starts at the first."),
    target=target_checks.target.noted("What page and reader must be like, and at which hours of its zone."),
    categories=v.list_of(goals.word, 50).noted("Free words, beside those of its advertiser."),
    excludes=v.list_of(goals.exclusion, 50).noted("What may not stand beside it on a page view, in both directions."),
    price=v.price.noted("For 1,000 impressions, a click, or the flight. At most 3 decimals."),
    state=_STATE,
)

FREE: Fields = fields_of(
    Creative,
    name=_NAME,
    weight=_WEIGHT,
    companions=v.check_id.noted(
        "A name that several creatives of a campaign have: a page view shows all of them or none.", examples=["spring"]
    ),
    starts=_STARTS,
    ends=_ENDS,
)
"""What may change of a creative without a review."""
KIND = v.one_of("image", "text", "html", "passback").noted("What it is.")
_LANDING = v.landing.noted("Where a click leads: public http or https. Macros in the query are filled.")
_ALT = v.text(300).noted("What a picture says, in words.", examples=["A red shoe"])
_TITLE = v.text(120).noted("The first line of a text.", examples=["Red shoes"])
_BODY = Field(v.text(500, empty=True).noted("What a text says below its title."), "")
_SIDE = v.whole(1, MAX_SIDE).noted("CSS pixels, a size of the slots: of html its own, of a passback what it is for.")
_HTML = v.markup(MAX_MARKUP).noted(
    "Markup for a sandboxed frame. `{click}` and `{random}` in it are filled.",
    examples=['<a href="{click}" target="_blank">Red shoes</a>'],
)
CONTENT: dict[CreativeKind, Fields] = {
    "image": {"click_url": Field(_LANDING, "", required=True), "alt": Field(_ALT, "", required=True)},
    "text": {
        "click_url": Field(_LANDING, "", required=True),
        "title": Field(_TITLE, "", required=True),
        "body": _BODY,
        "button": Field(v.text(25, empty=True).noted("What its button says.", examples=["Shop now"]), ""),
    },
    "html": {
        "click_url": Field(_LANDING, "", required=True),
        "html": Field(_HTML, "", required=True),
        "width": Field(_SIDE, 0, required=True),
        "height": Field(_SIDE, 0, required=True),
        "trackers": Field(
            v.list_of(v.tracker, 3).noted("Called once when it renders. An admin alone sets them."), ()
        ),
    },
    "passback": {"width": Field(_SIDE, 0), "height": Field(_SIDE, 0)},
}
"""Kind of creative to what a reviewer approves, besides the picture."""
WORDS: Fields = {name: Field(field.check) for fields in CONTENT.values() for name, field in fields.items()}
"""The same of any kind, for who describes them: what one kind needs another has not."""

REJECTION: Fields = {
    "reason": Field(
        v.text(500).noted("What the advertiser is told.", examples=["Too small to read"]), "", required=True
    )
}
APPROVAL: Fields = {
    "hash": Field(v.digest.noted("Approve what has this hash, and nothing that came in after it."), None),
    "revision": Field(v.whole(1, 1_000_000).noted("Approve this revision, and none that came in after it."), None),
}
RESTORATION: Fields = {
    "revision": Field(v.whole(1, 1_000_000).noted("Whose content becomes a new revision."), 0, required=True)
}
KEY: Fields = {
    "role": Field(v.one_of(*ROLES).noted("What it may. Left out beside a scope: nothing but that.")),
    "scopes": Field(v.list_of(v.one_of(*SCOPES), 10).noted("`delivery`: for a server that asks for browsers."), ()),
    "name": Field(v.text(100, empty=True).noted("What people call it.", examples=["CI"]), ""),
    "expires": Field(v.moment_or_days.noted("When it ends: days from now as `90d`, or a moment. Left out: never.")),
}
ROTATION: Fields = {
    "grace_hours": Field(v.whole(0, 168).noted("How long the secret that it had works on."), 24),
}
BOUND: Fields = {
    "advertiser": Field(v.check_id.noted("Of the role advertiser alone: which one.", examples=["acme"]), required=True)
}
"""What a key of the role advertiser also has."""
