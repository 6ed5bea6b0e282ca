"""The WordPress plugin as a process of PHP, between stand-ins for what it calls."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from adserve.embed.place import Place
from tests.embed.places import text
from tests.needs import need

STAND_INS = Path(__file__).with_name("stand_ins.php")


class WordPress:
    """`ask(("shortcode", {...}), ...)`: what each call printed or returned."""

    def __init__(self, folder: Path) -> None:
        self.php, self.plugin = need("php", package="php-cli"), folder / "slots.php"
        self.write()

    def write(self, *places: Place, **more: Any) -> None:
        self.plugin.write_text(text("wordpress", *places, **more), "utf-8")

    def ask(self, *calls: tuple[str, Any], **state: Any) -> list[Any]:
        command = [self.php, "-d", "display_errors=stderr", str(STAND_INS), str(self.plugin)]
        sent = json.dumps({**state, "do": calls})
        done = subprocess.run(command, input=sent, capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr + done.stdout
        found: list[Any] = json.loads(done.stdout)
        return found
