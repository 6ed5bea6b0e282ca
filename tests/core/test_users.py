"""Names, passwords and codes of people who sign in."""

from __future__ import annotations

import doctest
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyotp import TOTP

from adserve.core import agents, users
from adserve.core.device import DAYS, mint, verify
from adserve.core.second_factor import STEP_S, recovery_code, recovery_digest, step_of
from adserve.core.session import csrf_of, digest, is_secret
from adserve.core.users import User, check_password, check_user_name, folded

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
KEY, OTHER = b"k" * 32, b"o" * 32
USER = "u-0123456789ab"


@pytest.mark.parametrize("name", ["admin", "Ann.Lee", "a", "ann+ads@news.example", "x" * 64, "o_o", "9to5"])
def test_a_name_is_a_plain_word_or_an_address(name: str) -> None:
    """It is kept as it was written."""
    assert check_user_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", " admin", "admin ", "admin\n", "admin\0", "\u0430dmin", "admin\u200b", "\u202eadmin", "adm\u0131n",
        "ad min", "x" * 65, "../x", "a/b", "@news.example", "a@b@c", "a@", "a@.x", "-x", ".x", "<b>", "a\x1b[31m", USER,
        None, 7, ["a"], "a\u0301dmin", "\uff41dmin",
    ],
)  # fmt: skip
def test_a_name_that_could_pass_for_another_is_none(name: object) -> None:
    """Look-alikes, what nobody sees, paths, control characters, what is too long, and the form of an id."""
    with pytest.raises(ValueError, match="takes a name"):
        check_user_name(name)


def test_names_that_differ_in_case_are_one() -> None:
    """And only those: the fold is of ASCII."""
    assert folded("Admin") == folded("aDMIN") == "admin"


def test_a_password_is_the_same_however_it_is_typed() -> None:
    """Composed and decomposed letters are one form."""
    composed = "Crème brûlée!"
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    assert check_password(composed, "ann") == check_password(decomposed, "ann")


@pytest.mark.parametrize(
    "password",
    [
        "", "x" * 11, "x" * 257, "x" * 1_000_000, "news-ann@news.example", "NEWS-ann@news.example", "news-ann-and\0",
        12, None, "\ud800" * 12, "\x1b" * 12,
    ],
)  # fmt: skip
def test_a_password_that_will_not_do_is_refused(password: object) -> None:
    """Too short, too long, the name, or nothing that a keyboard makes."""
    with pytest.raises(ValueError, match=r".+"):
        check_password(password, "News-Ann@news.example")


def test_the_first_half_of_an_address_is_no_password() -> None:
    """It is the name to people."""
    with pytest.raises(ValueError, match="is the name"):
        check_password("abcdefghijkl", "Abcdefghijkl@news.example")


def test_what_is_shown_of_a_user_holds_no_secret() -> None:
    """Neither hash, nor second factor, nor code."""
    user = User(id=USER, name="ann", role="admin", password="HASH", totp="TOTP", recovery=("DIGEST",))
    shown = str(user.as_json()) + str(user.account())
    assert not [word for word in ("HASH", "TOTP", "DIGEST") if word in shown]
    assert user.account().id == USER


def test_a_user_of_an_advertiser_is_bound_to_one() -> None:
    """As an account is, and nobody else."""
    assert User(id=USER, name="a", role="advertiser", advertiser="acme").account().advertiser == "acme"
    for role, advertiser in (("advertiser", None), ("admin", "acme")):
        with pytest.raises(ValueError, match="bound"):
            User(id=USER, name="a", role=role, advertiser=advertiser)


@given(st.integers(1000, 2**33), st.integers(-3, 3))
def test_a_code_is_right_for_its_step_and_the_ones_beside(now: int, off: int) -> None:
    """Clocks of telephones are off by half a minute; a step that was used, and those before it, are not taken again."""
    device = TOTP(SECRET)
    code = device.generate_otp(now // STEP_S + off)
    found = step_of(SECRET, f"{code[:3]} {code[3:]}", now, -1)
    steps = [step for step in range(now // STEP_S - 1, now // STEP_S + 2) if device.generate_otp(step) == code]
    assert found == max(steps, default=None)
    assert (found is not None) >= (abs(off) <= 1)
    assert found is None or step_of(SECRET, code, now, found) is None


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "\u0661\u0662\u0663\u0664\u0665\u0666", "1" * 9999])
def test_what_is_no_code_is_wrong(code: str) -> None:
    """Six ASCII digits, or nothing is compared."""
    assert step_of(SECRET, code, 1_800_000_000, 0) is None


@given(st.binary(min_size=16, max_size=16))
def test_a_recovery_code_is_taken_however_it_is_typed(draws: bytes) -> None:
    """In capitals, with spaces or none."""
    code = recovery_code(draws)
    assert len(code.replace("-", "")) == 16
    for typed in (code.upper(), code.replace("-", " "), code.replace("-", ""), f" {code} "):
        assert recovery_digest(typed) == recovery_digest(code)


def test_a_device_is_known_by_its_own_token_alone() -> None:
    """Of this user, by a key of ours, and for half a year."""
    now = 1_800_000_000
    token = mint(USER, "0123456789abcdef", now, KEY)
    assert verify(token, USER, now, [OTHER, KEY]) == "0123456789abcdef"
    assert verify(token, USER, now + DAYS * 86_400, [KEY]) == "0123456789abcdef"
    assert verify(token, USER, now + (DAYS + 1) * 86_400, [KEY]) is None
    assert verify(token, "u-0123456789ac", now, [KEY]) is None
    assert verify(token, USER, now, [OTHER]) is None
    assert verify(token, USER, now, []) is None
    assert verify(token, USER, now - 86_400, [KEY]) is None
    for wrong in (token[:-1], token + "0", token.replace("a", "b", 1), "", "x" * 5000, "\u00e9"):
        assert verify(wrong, USER, now, [KEY]) is None


def test_a_secret_tells_nothing_of_itself() -> None:
    """What stands for it in the store and in forms is of another kind for each use."""
    secret = "A" * 43
    found = {digest(secret, "session"), digest(secret, "link"), csrf_of(secret)}
    assert len(found) == 3
    assert not [one for one in found if secret in one]
    assert is_secret(secret)
    for wrong in ("", "A" * 42, "A" * 44, "A" * 42 + "\n", "A" * 42 + "=", "\u00e9" * 43):
        assert not is_secret(wrong)


AGENTS = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537 Chrome/150 Safari/537 Edg/150": "Edge on Windows",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18 Safari/604": "Safari on iPhone",
    "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/150.0 Mobile Safari/537.36": "Chrome on Android",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605 Version/18.0 Safari/605": "Safari on macOS",
    "": "unknown",
    "<script>": "unknown",
    "\x1b[31mcurl": "unknown",
}  # fmt: skip


@pytest.mark.parametrize("agent", AGENTS)
def test_a_session_is_named_by_browser_and_system(agent: str) -> None:
    """Two words of ours; of what a stranger sent at most a plain word."""
    assert agents.summary(agent) == AGENTS[agent]


@pytest.mark.parametrize("module", [agents, users])
def test_examples_in_docstrings_hold(module: object) -> None:
    """What they show is what they do."""
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]
