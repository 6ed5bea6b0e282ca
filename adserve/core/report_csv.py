"""A report as CSV: RFC 4180, one header line, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from adserve.core.report_keys import columns
from adserve.core.report_rows import FIGURES

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet read a cell as a formula, or a cell that hides one."""


class _Lines(list[str]):
    """What the CSV writer writes to: the lines, in memory."""

    def write(self, line: str) -> None:
        self.append(line)


def to_csv(report: Mapping[str, Any]) -> str:
    """The rows of a report, without its totals. `null` is an empty cell, truth is `true` or `false`."""
    names = [*columns(report["by"]), *FIGURES, "final"]
    return csv_text(names, ([row[name] for name in names] for row in report["rows"]))


def csv_text(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """One header line and the rows."""
    lines = _Lines()
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerow(_cell(name) for name in header)
    writer.writerows(map(_cell, row) for row in rows)
    return "".join(lines)


def _cell(value: Any) -> str:
    """Text that a spreadsheet would run gets a leading apostrophe; numbers never begin with a sign."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text
