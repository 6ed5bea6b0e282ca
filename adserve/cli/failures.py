"""Failures of a command: for people as text, after `--json` for programs, always on stderr."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
import msgspec

from adserve.errors import AdserveError, Invalid, Problem, SettingsError


def tell(failure: click.ClickException | AdserveError, *, json_: bool) -> None:
    """Prints a failure. The JSON has the members of the API's problems: `code`, `detail`, `errors`."""
    if json_:
        click.echo(msgspec.json.encode({"error": _as_json(failure)}), err=True)
    elif isinstance(failure, click.ClickException):
        failure.show()
    elif isinstance(failure, SettingsError):
        click.echo(f"adserve cannot start; please mend these settings:\n{failure}", err=True)
    elif isinstance(failure, Invalid):
        for one in failure.problems:
            click.echo(str(one).lstrip("/"), err=True)
    else:
        click.echo(str(failure), err=True)


def _as_json(failure: click.ClickException | AdserveError) -> dict[str, Any]:
    if isinstance(failure, click.ClickException):
        code = "bad_usage" if isinstance(failure, click.UsageError) else AdserveError.code
        return {"code": code, "detail": failure.format_message(), "errors": []}
    problems: list[Problem] = []
    if isinstance(failure, Invalid):
        problems = failure.problems
    elif isinstance(failure, SettingsError):
        problems = [Problem("", one, failure.code) for one in failure.problems]
    return {"code": failure.code, "detail": str(failure), "errors": [asdict(one) for one in problems]}
