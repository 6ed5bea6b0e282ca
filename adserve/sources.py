"""Where settings are written: flags before the environment, the environment before the file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from adserve.core.validate import nearest

ALL = "ADSERVE_"
"""What every variable begins with."""
HANDED = "ADSERVE_SETTINGS_FROM"
"""How a process tells one that it starts where its settings come from: JSON, variable to source. It is no setting."""
TESTING = (
    "ADSERVE_REQUIRE_BROWSER", "ADSERVE_TEST_STORE", "ADSERVE_CHAOS_RUNS", "ADSERVE_CHAOS_SEED", "ADSERVE_FUZZ_RUNS",
)  # fmt: skip
"""Variables of the tests, which are no settings."""


class Given(NamedTuple):
    """A setting as it was written, and where: `flag`, `environment`, or the path of the file."""

    text: str
    source: str


def gather(
    names: Mapping[str, str], flags: Mapping[str, Any], environment: Mapping[str, str], file: Path, *, called: str
) -> tuple[dict[str, Given], list[str]]:
    """What was given of each setting, by name, and what is wrong. `names`: of settings by variable; `called`: what
    flags are."""
    given, problems = _of_file(names, file)
    handed = _handed(environment.get(HANDED, ""))
    for name, value in environment.items():
        if name in names and value != "":
            given[names[name]] = Given(value, handed.get(name, "environment"))
        elif name.startswith(ALL) and name not in names and name not in (*TESTING, HANDED):
            problems.append(f"{name} is no setting{nearest(name, names, ALL)}")
    given |= {name: Given(str(value), called) for name, value in flags.items() if value is not None}
    return given, problems


def _of_file(names: Mapping[str, str], file: Path) -> tuple[dict[str, Given], list[str]]:
    if not file.exists():
        return {}, []
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        return {}, [f"{file}: {problem}"]
    given: dict[str, Given] = {}
    problems: list[str] = []
    known = list(names.values())
    for name, value in table.items():
        if name not in known:
            problems.append(f"{file}: {name} is no setting{nearest(name, known)}")
        elif isinstance(value, list):
            given[name] = Given(",".join(map(str, value)), str(file))
        elif isinstance(value, (str, int)):
            given[name] = Given(str(int(value) if isinstance(value, bool) else value), str(file))
        else:
            problems.append(f"{file}: {name} takes text or a whole number")
    return given, problems


def _handed(text: str) -> dict[str, str]:
    """Nothing when it is none of ours: whoever sets it by hand only misleads himself."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return {name: said for name, said in found.items() if isinstance(said, str)} if isinstance(found, dict) else {}
