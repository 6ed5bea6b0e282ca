"""What tests need of the machine beside the locked packages.

A program that is missing skips its tests with the reason and the remedy. Where everything must run
(`ADSERVE_REQUIRE_BROWSER`, as in continuous integration) it fails them instead: there nothing is skipped.
"""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def need(*names: str, package: str) -> str:
    """The first of these programs that is installed. `package` is Debian's name of what has it."""
    for name in names:
        if (found := shutil.which(name)) is not None:
            return found
    lacks(f"needs {' or '.join(names)} (Debian: apt install {package})")


def lacks(reason: str) -> NoReturn:
    """The one place that skips, or fails where nothing may be: `reason` says what this machine lacks and what helps."""
    if os.environ.get("ADSERVE_REQUIRE_BROWSER"):
        pytest.fail(f"{reason}, because ADSERVE_REQUIRE_BROWSER is set")
    # reason for the skip: the program comes from the machine's packages, not from the lock file, and a newcomer without
    # it runs all other tests; continuous integration has everything and never comes here
    pytest.skip(reason=f"this machine lacks what the test runs, all others run without it: {reason}")
