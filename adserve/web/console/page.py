"""What a page of the console is: a line of the table, and the call that it answers."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from adserve.core.access import ROLES, Account
from adserve.core.match import Match, etag
from adserve.errors import Conflict, Invalid, Problem, Stale, TooLarge, UnsupportedMedia
from adserve.flows.services import Services
from adserve.flows.sign_in import Signed
from adserve.flows.worker import Worker
from adserve.web.api.throttle import Throttle
from adserve.web.client import Ask, base_url
from adserve.web.console.form import EMPTY, Form, whole
from adserve.web.console.view import render

HOME, SIGN_IN = "/console/", "/console/sign-in"
ANYONE: frozenset[str] = frozenset()
"""No role is asked for, and no session."""
NEW = Match(must_not="*")
"""Of a form that makes something: what is there already is not overwritten."""
NOBODY = Account("nobody", None, "")
EVERYONE = frozenset(ROLES)
STAFF = frozenset({"admin", "reviewer", "reader"})
ADMIN, REVIEW = frozenset({"admin"}), frozenset({"admin", "reviewer"})


@dataclass(frozen=True, slots=True)
class Page:
    """One line of the table, as `adserve.web.routes.Route` is of the API: `roles` may, before anything is looked up;
    `about` is the kind of the object that the path names, which has to be the caller's. `nav`: its words in the
    navigation, where it has a place there. `takes_file`: its form may be as large as an upload."""

    method: str
    path: str
    endpoint: Callable[[Call], Awaitable[Response]]
    roles: frozenset[str]
    about: str | None = None
    nav: str = ""
    takes_file: bool = False


@dataclass(frozen=True, slots=True)
class Console:
    """What all pages share. `warnings`: what an operator should know; `navigation`: path, words and roles."""

    services: Services
    worker: Worker
    throttle: Throttle | None
    store_up: Callable[[], bool]
    warnings: Callable[[], Sequence[str]]
    navigation: tuple[tuple[str, str, frozenset[str]], ...] = ()
    counts: Mapping[str, Callable[[], int]] = field(default_factory=dict)
    """The number beside a line of the navigation, by its path; from memory, for every page asks."""


@dataclass(slots=True)
class Call:
    """One call of a page: who makes it, its query (the last of two parameters of a name), its form. `problems`: what is
    wrong with the form, by member, when it is shown again."""

    request: Request
    console: Console
    signed: Signed | None
    account: Account
    csrf: str
    """What every form of the page carries."""
    query: dict[str, str]
    form: Form = EMPTY
    problems: Sequence[Problem] = ()

    @property
    def services(self) -> Services:
        return self.console.services

    @property
    def path(self) -> dict[str, str]:
        return self.request.path_params

    @property
    def actor(self) -> str:
        return self.account.id

    @property
    def match(self) -> Match:
        """The version that the form was made of, its hidden member `version`: what came since is not overwritten."""
        version = whole(self.form.text("version"))
        return Match() if version is None else Match(etag(version))

    @property
    def number(self) -> str:
        """A number that no other form has."""
        return secrets.token_hex(8)

    @property
    def origin(self) -> str:
        """Where links that leave the console point: the public URL, or the loopback origin of the request."""
        return base_url(self.console.worker, Ask.of(self.request.scope, lambda _: None))

    def url(self, path: str, /, **query: Any) -> str:
        """An address of ours, below the path under which the service may be mounted. What is None is left out.
        A query may have parameters of any name."""
        if not path.startswith("/") or path.startswith(("//", "/\\")):
            raise ValueError("an address of ours begins with one slash")
        asked = urlencode({name: value for name, value in query.items() if value is not None})
        return f"{self.request.scope.get('root_path', '')}{path}{'?' if asked else ''}{asked}"

    def typed(self, name: str, stored: object = "") -> str:
        """What a field shows: what was typed, when its form is shown again, else what is stored. A page may have more
        forms than the one that was sent; a field that was sent empty is there."""
        return self.form.text(name) if name in self.form.texts else "" if stored is None else str(stored)

    def ticked(self, name: str, stored: bool = False) -> bool:
        """The same of a box, which is not sent when it is not ticked: of a page with one form."""
        return self.form.on(name) if self.form is not EMPTY else stored

    def chosen(self, name: str, stored: Sequence[str] = ()) -> Sequence[str]:
        """The same of boxes that share a name, or of a list: every text of it."""
        return self.form.all(name) if self.form is not EMPTY else stored

    def may(self, *roles: str) -> bool:
        return self.account.role in roles

    def show(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page out of `templates/`, with what the layout needs. After a form that was refused, `status` is 422."""
        status = 422 if status == 200 and self.problems else status
        html = render(template, call=self, console=self.console, account=self.account, url=self.url, **values)
        return Response(html, status, media_type="text/html; charset=utf-8")

    def go(self, path: str, done: str | None = None, **query: str | int | None) -> Response:
        """On to another page of ours, which says what was done: a word of `view.DONE`."""
        return RedirectResponse(self.url(path, done=done, **query), 303)


MEANWHILE = (
    "somebody changed this meanwhile; what you typed stands below and is not saved: look at it again, and send it if "
    "it shall go before theirs"
)
Endpoint = Callable[[Call], Awaitable[Response]]


def shows_again(show: Endpoint) -> Callable[[Endpoint], Endpoint]:
    """Of the endpoint that takes a form: what is wrong with it is told beside its fields, by the page that showed it,
    and nothing that was typed is lost. It stays of the version that it was made of, until a newer one is told of."""

    def around(take: Endpoint) -> Endpoint:
        @wraps(take)
        async def endpoint(call: Call) -> Response:
            try:
                return await take(call)
            except Invalid as refused:
                call.problems = refused.problems
            except Stale:
                call.problems = [
                    Problem("", MEANWHILE) if call.form.text("version") else Problem("/id", "is taken: choose another")
                ]
                call.form = call.form.without("version")  # sent again, it goes before what is there now
            except (Conflict, TooLarge, UnsupportedMedia) as refused:
                call.problems = [Problem("", str(refused))]
            return await show(call)

        return endpoint

    return around
