"""The command line: thin over the flows. Errors say what to do; exit codes are in `docs/operations.md`."""

from __future__ import annotations

import signal
import sys
from importlib import import_module

import click

from adserve import __version__, logs
from adserve.cli.failures import tell
from adserve.errors import AdserveError

COMMANDS = {
    "audit": "audit.audit_command",
    "availability": "availability.availability_command",
    "backup": "moving.backup_command",
    "bench": "bench.bench_command",
    "check-page": "check_page.check_page_command",
    "creative": "creatives.creative",
    "demo": "serving.demo_command",
    "doctor": "doctor.doctor_command",
    "embed": "embed.embed_command",
    "explain": "explain.explain_command",
    "keys": "creatives.keys",
    "report": "reports.report_command",
    "restore": "moving.restore_command",
    "serve": "serving.serve_command",
    "settings": "settings.settings_command",
    "simulate": "simulate.simulate_command",
    "store": "moving.store_group",
    "users": "users.users_group",
    "worker": "serving.worker_command",
}
"""Name to where it is in this package. Only what is called is imported: most commands need no web server."""


class Commands(click.Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(".")
        command: click.Command = getattr(import_module(f"adserve.cli.{module}"), name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="adserve")
def cli() -> None:
    """A self-hosted ad server that counts exactly once."""
    logs.configure()


def _stop(number: int, _: object) -> None:
    """SIGTERM before anything is served, or during a command: whatever was opened is closed, the store too. A
    service that did not serve yet has drained in order."""
    sys.exit(0 if sys.argv[1:2] in (["serve"], ["demo"]) else 128 + number)


def main() -> None:
    """The entry point: known errors become a message and their exit code."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        cli(standalone_mode=False)
    except click.Abort:
        sys.exit(130)
    except (click.ClickException, AdserveError) as failure:
        tell(failure, json_="--json" in sys.argv)  # not what click parsed: it may have failed before that
        sys.exit(failure.exit_code)
