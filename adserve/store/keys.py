"""Every key of the store: shape, type, expiry, writer, reader.

Everything begins with the prefix from the settings (default `adserve:`), then a hash tag, so that
one script touches one hash slot on a Cluster. Only serials and ids that the service made go into
keys, never text from outside; names stand in hash *fields* at most.

| key | type | expires | written by | read by |
|---|---|---|---|---|
| `{cat}:objects` | hash, `kind:id` to JSON | never | store.catalog | catalog loader |
| `{cat}:changed` | sorted set, `kind:id` by version | never | store.catalog | catalog loader |
| `{cat}:version` | integer, raised by every change | never | store.catalog | every worker, 5 times a second |
| `{cat}:serials` | hash, noun to last serial | never | store.catalog | store.catalog |
| `{cat}:keys` | hash, key id to JSON with a digest | never | account.lua | store.accounts |
| `{cat}:keys:version` | integer, raised by every change of `keys` | never | account.lua | store.accounts |
| `{cat}:keys:used` | hash, key id to when it was used last | never | store.accounts | store.accounts |
| `{cat}:shares` | hash, digest of a share link to JSON | never; see store.shares | share.lua | store.shares |
| `{cat}:users` | hash, user id to JSON | never | user_put.lua | store.users, session_find.lua |
| `{cat}:users:names` | hash, folded name to user id | never | user_put.lua | user_put.lua, store.users |
| `{cat}:session:DIGEST` | hash: who is signed in | 12 h unused, 7 days | `session_*.lua` | session_find.lua |
| `{cat}:sessions:USER` | sorted set, DIGEST by its beginning | 7 days | session_start.lua | store.sessions |
| `{cat}:link:DIGEST` | hash: what a link that works once is for | 1 h or 7 days | link_make.lua | user_put.lua |
| `{cat}:links:USER` | hash, purpose to the DIGEST of the newest link | 7 days | link_make.lua | link_make.lua |
| `{cat}:audit` | stream, who changed what | never | `*_put.lua`, user_note.lua, account.lua, share.lua | `GET /audit` |
| `{cat}:schema` | number of the form of all this, `1`, or `1>2` while migrated | never | store.schema | every worker |
| `{cat}:schema:by` | version of adserve that wrote that number | never | store.schema | store.schema |
| `{cat}:secret` | check value of the secret, or `unfinished` | never | flows.admit, store.load | flows.admit |
| `{cat}:curves` | hash, slot serial to a packed week of its requests | never | store.curves | every worker |
| `{cat}:curves:at` | epoch second up to which they were learned | never | store.curves | every worker |
| `{cat}:curves:claim` | who learns just now | 60 s | store.curves | store.curves |
| `{cat}:salt:WEEK` | 16 random bytes in hex, of visitors' digests | with the week after | store.salts | store.salts |
| `{r:CREATIVE}:revisions` | hash, revision to its content and to verdicts | never | store.revisions | store.revisions |
| `{o:DIGEST}:once` | hash: fingerprint, id, claim, answer of a call | 24 h | once.lua, once_end.lua | once.lua |
| `{ask}:alive:WORKER` | `1`: this worker lives | 5 s | questions.lua | question.lua |
| `{ask}:workers` | hash, WORKERs that live, and some that did, to `1` | 5 s | questions.lua | store.questions |
| `{ask}:q:WORKER` | list of questions to a worker, JSON | 10 s | question.lua | questions.lua |
| `{ask}:answer:QUESTION` | answer to a question, JSON | 10 s | store.questions | store.questions |
| `{a:CALLER}:rate` | integer, until when a caller of the API used up its rate | then | gcra.lua | gcra.lua |
| `{a:guess}:rate:DIGEST` | the same of guesses at passwords and codes | then | gcra.lua | gcra.lua |
| `{pK}:k:DIGEST` | hash, number to decision of a keyed pair | 30 days (setting) | pair.lua | pair.lua |
| `{pK}:new:SITE:HOUR` | integer, keyed pairs that began in an hour of a site | 2 h | pair.lua | pair.lua |
| `{m:HASH}:media` | bytes of a picture | never | store.media | `GET /m/` |
| `{sK}:l:WHAT:INCARNATION:HOUR` | bitmap, one bit a serve | last lifetime + 48 h | event.lua | event.lua |
| `{sK}:c:BUCKET` | hash, cell to count | rolled up after 35 days | event.lua, serves.lua | store.reports |
| `{sK}:buckets` | sorted set of the BUCKETs that exist | never | event.lua, serves.lua | store.reports |
| `{sK}:d:YYYYMMDD` | hash, cell to count, a site-local day | never | rollup.lua | store.reports |
| `{sK}:days` | sorted set of the days that exist | never | rollup.lua | store.reports |
| `{sK}:f:INCARNATION` | hash: sequence, place, gaps | last lifetime + 48 h | serves.lua | serves.lua, event.lua |
| `{sK}:p:INCARNATION` | hash: serves proven before a flush | last lifetime + 48 h | event.lua | serves.lua |
| `{sK}:t` | hash, `CAMPAIGN.i`, `CAMPAIGN.c`: impressions, clicks in all | never | event.lua | event.lua, take.lua |
| `{sK}:y:DAY` | hash, the same of a local day of the campaign's zone | 4 days | event.lua | event.lua, take.lua |
| `{sK}:g:CAMPAIGN` | hash, grant to `SIZE USED CLOSE DAY`, sums of closed ones | 4 days | take.lua, event.lua | both |
| `{sK}:r:CLIENT` | list, times of the last 10 clicks | 60 s | event.lua | event.lua |
| `{sK}:n:READER` | hash, campaign to `COUNT:START` | with its last window | event.lua | frequency.lua |

K is 0 to 15: the serial of a campaign mod 16 for what belongs to a campaign, the serial of a slot mod 16 for what
stayed empty, that of a site (SITE) mod 16 for keyed pairs. DAY is the ordinal of a date (1 is that of the year 1).
BUCKET is the epoch second at which a quarter of an hour begins, WEEK the number of weeks since the epoch.
USER is the id of a user (ours). CREATIVE is the serial of a creative. READER is a digest of a visitor's id, see
`core.visitor`.
WORKER is an incarnation, or `any` for whichever looks first.

A *cell* (field of a counter hash) is `SLOT.REVISION.TIER.DEVICE.METRIC`, all serials in decimal,
TIER and DEVICE as indexes into `core.model.TIERS` and `DEVICES`. METRIC is one of

    s serves   i impressions   v views   c clicks   u clicks without an impression
    d duplicates   p passbacks
    fR set aside for reason R, as `fi.bot`, `fv.prefetch`, `fc.rate` (kind, then reason)
    li lv lc   late, by kind
    m.CUR revenue in micro-units of the currency CUR

and of a slot alone (REVISION 0, TIER 0): `e.REASON` requests that stayed empty. The requests of a slot
are its serves, its passbacks and what stayed empty.
"""

from __future__ import annotations

TAGS = 16
BUCKET_S = 900
HOUR_S = 3600


def tag_of(serial: int) -> int:
    """The hash tag K of a campaign's (or, for what stayed empty, a slot's) serial."""
    return serial % TAGS


KINDS = {
    b"l": "ledger",
    b"c": "quarter-hours",
    b"d": "days",
    b"buckets": "indexes",
    b"days": "indexes",
    b"f": "flushes",
    b"p": "flushes",
    b"r": "click lists",
    b"t": "totals",
    b"y": "totals",
    b"g": "grants",
    b"n": "frequency",
    b"media": "media",
    b"revisions": "revisions",
    b"once": "idempotency keys",
    b"k": "keyed pairs",
    b"new": "keyed pairs",
    b"rate": "rates of callers",
    b"alive": "questions between workers",
    b"workers": "questions between workers",
    b"q": "questions between workers",
    b"answer": "questions between workers",
}
"""What the word behind the hash tag of a key is called to people; whatever else lies under `{cat}` is catalog."""


def kind_of(name: bytes) -> str:
    """The kind of a key, of its name without the prefix.

    >>> kind_of(b"{s3}:c:900"), kind_of(b"{cat}:objects"), kind_of(b"{x}:y")
    ('quarter-hours', 'catalog', 'other')
    """
    tag, _, rest = name.partition(b"}:")
    return "catalog" if tag == b"{cat" else KINDS.get(rest.partition(b":")[0], "other")


class Keys:
    """Builds every key for one prefix."""

    def __init__(self, prefix: str = "adserve:") -> None:
        self.prefix = prefix
        self.objects = f"{prefix}{{cat}}:objects"
        self.changed = f"{prefix}{{cat}}:changed"
        self.version = f"{prefix}{{cat}}:version"
        self.serials = f"{prefix}{{cat}}:serials"
        self.accounts = f"{prefix}{{cat}}:keys"
        self.accounts_version = f"{prefix}{{cat}}:keys:version"
        self.accounts_used = f"{prefix}{{cat}}:keys:used"
        self.users = f"{prefix}{{cat}}:users"
        self.user_names = f"{prefix}{{cat}}:users:names"
        self.audit = f"{prefix}{{cat}}:audit"
        self.workers = f"{prefix}{{ask}}:workers"
        self.shares = f"{prefix}{{cat}}:shares"
        self.schema = f"{prefix}{{cat}}:schema"
        self.schema_by = f"{prefix}{{cat}}:schema:by"
        self.secret = f"{prefix}{{cat}}:secret"
        self.curves = f"{prefix}{{cat}}:curves"
        self.curves_at = f"{prefix}{{cat}}:curves:at"
        self.curves_claim = f"{prefix}{{cat}}:curves:claim"

    def media(self, digest: str) -> str:
        return f"{self.prefix}{{m:{digest}}}:media"

    def session(self, digest: str) -> str:
        """`digest`: of the secret in a cookie."""
        return f"{self.prefix}{{cat}}:session:{digest}"

    def sessions(self, user: str) -> str:
        """`user`: an id."""
        return f"{self.prefix}{{cat}}:sessions:{user}"

    def link(self, digest: str) -> str:
        """`digest`: of the secret in a link."""
        return f"{self.prefix}{{cat}}:link:{digest}"

    def links(self, user: str) -> str:
        """`user`: an id."""
        return f"{self.prefix}{{cat}}:links:{user}"

    def revisions(self, creative: int) -> str:
        """`creative`: its serial."""
        return f"{self.prefix}{{r:{creative}}}:revisions"

    def once(self, digest: str) -> str:
        """`digest`: of a caller and the Idempotency-Key of its call."""
        return f"{self.prefix}{{o:{digest}}}:once"

    def pair(self, site: int, digest: str) -> str:
        """`site`: its serial; `digest`: of a slot and the key of a pair in it."""
        return f"{self.prefix}{{p{tag_of(site)}}}:k:{digest}"

    def new_pairs(self, site: int, hour: int) -> str:
        """`hour`: since the epoch."""
        return f"{self.prefix}{{p{tag_of(site)}}}:new:{site}:{hour}"

    def rate(self, caller: str) -> str:
        """`caller`: the id of a key, or the keyed digest of a client's network."""
        return f"{self.prefix}{{a:{caller}}}:rate"

    def guesses(self, who: str) -> str:
        """`who`: a keyed digest of what is counted, such as a name and a network."""
        return f"{self.prefix}{{a:guess}}:rate:{who}"

    def alive(self, worker: str) -> str:
        """`worker`: an incarnation in hexadecimal, or `any`."""
        return f"{self.prefix}{{ask}}:alive:{worker}"

    def questions(self, worker: str) -> str:
        return f"{self.prefix}{{ask}}:q:{worker}"

    def answer(self, question: str) -> str:
        """`question`: an id that the asking worker made."""
        return f"{self.prefix}{{ask}}:answer:{question}"

    def ledger(self, tag: int, what: str, incarnation: int, hour: int) -> str:
        """`what`: kind (i, v, c) and state (v valid, f set aside, p prefetch, l late), as `iv`."""
        return f"{self.prefix}{{s{tag}}}:l:{what}:{incarnation:x}:{hour}"

    def counters(self, tag: int, bucket: int) -> str:
        return f"{self.prefix}{{s{tag}}}:c:{bucket}"

    def buckets(self, tag: int) -> str:
        return f"{self.prefix}{{s{tag}}}:buckets"

    def day(self, tag: int, day: str) -> str:
        """`day`: `YYYYMMDD` of the site's own time zone."""
        return f"{self.prefix}{{s{tag}}}:d:{day}"

    def days(self, tag: int) -> str:
        return f"{self.prefix}{{s{tag}}}:days"

    def flushed(self, tag: int, incarnation: int) -> str:
        return f"{self.prefix}{{s{tag}}}:f:{incarnation:x}"

    def proven(self, tag: int, incarnation: int) -> str:
        return f"{self.prefix}{{s{tag}}}:p:{incarnation:x}"

    def totals(self, tag: int) -> str:
        return f"{self.prefix}{{s{tag}}}:t"

    def today(self, tag: int, day: int) -> str:
        """`day`: the ordinal of a local day."""
        return f"{self.prefix}{{s{tag}}}:y:{day}"

    def grants(self, tag: int, campaign: int) -> str:
        """`campaign`: its serial."""
        return f"{self.prefix}{{s{tag}}}:g:{campaign}"

    def click_rate(self, tag: int, client: str) -> str:
        return f"{self.prefix}{{s{tag}}}:r:{client}"

    def salt(self, week: int) -> str:
        return f"{self.prefix}{{cat}}:salt:{week}"

    def reader(self, tag: int, digest: str) -> str:
        """`digest`: one of a visitor's, 24 characters of hex."""
        return f"{self.prefix}{{s{tag}}}:n:{digest}"
