"""The system: the store, the workers, warnings, and the settings in force."""

from __future__ import annotations

from starlette.responses import Response

from adserve import __version__
from adserve.flows.condition import condition
from adserve.web.console.page import ADMIN, Call, Page
from adserve.web.console.table import Column, Table, show_table

SYSTEM = "/console/system"
COLUMNS = (
    Column("Setting"),
    Column("Value"),
    Column("From", "A flag, the environment, a file, or the default."),
    Column("What it is"),
)


async def system(call: Call) -> Response:
    """Nothing secret stands here: of a secret that there is one."""
    found = await condition(call.services, call.console.worker, up=call.console.store_up())
    rows = [[one.variable, one.value or "not set", one.source, one.help] for one in call.services.settings]
    return show_table(
        call,
        "system.html.j2",
        Table("settings", "Settings in force", COLUMNS, rows),
        title="System",
        found=found,
        warnings=call.console.warnings(),
        version=__version__,
    )


PAGES = (Page("GET", SYSTEM, system, ADMIN, nav="System"),)
