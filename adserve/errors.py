"""Everything that can go wrong, as one tree.

    AdserveError                 code, message, remedy
    ├── SettingsError            every bad setting at once            exit 78
    ├── StoreError               the store is away or refuses
    │   ├── StoreUnavailable     refused, silent or too slow
    │   └── StoreMissing         no Valkey or Redis binary here       exit 69
    ├── UnfitStore               the store could lose what it answered  exit 78
    │   └── OtherSchema          its data has a form that is not of this code
    ├── NoData                   nothing is kept in this data dir      exit 66
    ├── NoPage                   a page that was to be looked at did not come
    ├── Invalid                  a body or query, all problems at once
    ├── NotFound                 no such object, or not the caller's
    ├── Conflict                 a move that the state does not allow
    │   ├── InUse                another call with this Idempotency-Key is being made
    │   └── AlreadyMade          an earlier call made it, and what it was told is said once
    ├── Stale                    another version than the one that was seen
    │   └── Unmet                an If-Match or If-None-Match that does not hold
    ├── Forbidden                the role may not
    ├── Unauthenticated          no key or a bad one
    ├── TooMany                  more calls than one caller may make
    ├── TooLarge                 a body over its limit
    ├── UnsupportedMedia         a file that is none of the accepted kinds
    └── BadToken                 not ours, altered, or of another purpose

No class knows HTTP: status codes live where replies are made (`adserve.web.problems`).
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_PROBLEMS = 100
"""How many problems one answer names: an input of 64 KB holds room for thousands, and each takes more to name."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input: where (JSON pointer without '#'), and what to do about it."""

    pointer: str
    detail: str
    code: str = "invalid"

    def __str__(self) -> str:
        """`/name: is required`; about the whole of the input, the detail alone."""
        return f"{self.pointer}: {self.detail}" if self.pointer else self.detail


class AdserveError(Exception):
    """The root. `code` is stable; the message is for people."""

    code = "error"
    exit_code = 1
    again_s: int | None = None
    """Seconds after which the same call may succeed, where that is known."""

    def __init__(self, message: str = "", *, code: str | None = None) -> None:
        super().__init__(message or self.code.replace("_", " "))
        if code is not None:
            self.code = code


class SettingsError(AdserveError):
    """All bad settings of one start."""

    code = "bad_settings"
    exit_code = 78

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(f"- {problem}" for problem in problems))


class StoreError(AdserveError):
    code = "store_error"
    exit_code = 69
    again_s = 2


class StoreUnavailable(StoreError):
    code = "store_unavailable"


class StoreMissing(StoreError):
    code = "store_missing"


class UnfitStore(AdserveError):
    """A store that answers and must not be counted on; the message says what to change."""

    code = "unfit_store"
    exit_code = 78


class OtherSchema(UnfitStore):
    code = "other_schema"


class NoData(AdserveError):
    code = "no_data"
    exit_code = 66


class NoPage(AdserveError):
    """Nothing came that could be read; the message says why."""

    code = "no_page"


class Invalid(AdserveError):
    """A body or query that cannot be taken; `problems` holds all of them, up to `MAX_PROBLEMS`."""

    code = "invalid"

    def __init__(self, problems: list[Problem], *, code: str | None = None) -> None:
        self.problems = problems[:MAX_PROBLEMS]
        super().__init__("; ".join(map(str, self.problems)), code=code)


class NotFound(AdserveError):
    code = "not_found"


class Conflict(AdserveError):
    code = "conflict"


class InUse(Conflict):
    code = "idempotency_key_in_use"
    again_s = 1


class AlreadyMade(Conflict):
    """`id` is that of what was made."""

    code = "already_made"

    def __init__(self, message: str, id_: str) -> None:
        super().__init__(message)
        self.id = id_


class Stale(AdserveError):
    code = "stale_version"


class Unmet(Stale):
    """Making the call again would not help, as it does after a race that was lost."""


class Forbidden(AdserveError):
    code = "forbidden"


class Unauthenticated(AdserveError):
    code = "unauthenticated"


class TooMany(AdserveError):
    code = "too_many_requests"

    def __init__(self, message: str, again_s: int) -> None:
        super().__init__(message)
        self.again_s = again_s


class TooLarge(AdserveError):
    code = "too_large"


class UnsupportedMedia(AdserveError):
    code = "unsupported_media"


class BadToken(AdserveError):
    code = "bad_token"
