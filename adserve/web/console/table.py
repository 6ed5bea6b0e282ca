"""Tables: one value for what is shown and what is exported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from adserve.core.report_csv import csv_text
from adserve.web.console.page import Call


@dataclass(frozen=True, slots=True)
class Cell:
    """A value with more than its text: `href` is an address of ours (already below the mount), `state` colours it,
    `note` explains it, `part` (0 to 1) is drawn as a bar beside it."""

    text: str | int | Decimal | None
    href: str | None = None
    state: str | None = None
    note: str | None = None
    part: float | None = None

    def __post_init__(self) -> None:
        if self.href is not None and (self.href[:1] not in "/?" or self.href.startswith(("//", "/\\"))):
            raise ValueError("an address of ours begins with one slash, or is a query")


Value = str | int | Decimal | None | Cell


@dataclass(frozen=True, slots=True)
class Column:
    """`about`: what it means, shown on hover, focus and tap."""

    label: str
    about: str = ""
    number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """`name` of the file that it is exported to; `caption` for those who cannot see it; `empty`: what to do next when
    there are no rows."""

    name: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Value]]
    empty: str = "Nothing here yet."

    def csv(self) -> Response:
        """RFC 4180, with one header line; cells that a spreadsheet would run are guarded."""
        rows = [[one.text if isinstance(one, Cell) else one for one in row] for row in self.rows]
        text = csv_text([column.label for column in self.columns], rows)
        headers = {"Content-Disposition": f'attachment; filename="{self.name}.csv"'}
        return Response(text, 200, headers, "text/csv; charset=utf-8")


def cell_of(value: Value) -> Cell:
    return value if isinstance(value, Cell) else Cell(value)


def show_table(call: Call, template: str, table: Table, *beside: Table, **values: Any) -> Response:
    """A page around a table, or with `?format=csv` the table alone; `&table=NAME` of those `beside` it, whose addresses
    the page has in `exports`, by name."""
    if call.query.get("format") == "csv":
        named = call.query.get("table")
        return next((one for one in beside if one.name == named), table).csv()
    query = {name: value for name, value in call.query.items() if name != "done"}
    export = f"?{urlencode({**query, 'format': 'csv'})}"
    exports = {one.name: f"?{urlencode({**query, 'format': 'csv', 'table': one.name})}" for one in beside}
    return call.show(template, 200, table=table, export=export, exports=exports, **values)
