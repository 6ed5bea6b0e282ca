"""The tree against its own rules: which module may import which, what the locks and the documents say."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

import adserve.errors
from adserve.core.rejections import REJECTIONS
from adserve.core.report_cells import Batch
from adserve.core.report_query import DIMENSIONS, PARAMETERS, parse_query
from tests.conftest import Api
from tests.core.report_world import TODAY, make
from tests.figures import kinds, samples

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "adserve"
Import = tuple[str, str]
"""The importing module and the imported one, both by dotted name."""

MAX_FILE_LINES = 320
MAX_README_LINES = 150

_FLOWS = frozenset({"flows", "store", "intake", "snippet", "core", "errors", "version"})
_WEB = _FLOWS | {"web", "charts"}
_TOP = _WEB | {"settings", "in_force", "signing", "opening", "wiring", "app", "http", "serving", "metrics"}
_TOP |= {"supervisor", "stopping", "contrib", "logs"}
ARROWS: dict[str, frozenset[str]] = {
    "version": frozenset(),
    "errors": frozenset(),
    "core": frozenset({"core", "errors"}),
    "snippet": frozenset({"core", "errors"}),
    "charts": frozenset({"charts", "core"}),
    "store": frozenset({"store", "core", "errors"}),
    "intake": frozenset({"intake", "core", "errors"}),
    "embed": frozenset({"embed", "core", "errors"}),
    "flows": _FLOWS,
    "web": _WEB | {"embed"},
    "contrib": frozenset({"contrib"}),
    "sources": frozenset({"core"}),
    "settings": frozenset({"sources", "core", "errors", "version"}),
    "in_force": frozenset({"settings", "core"}),
    "signing": frozenset({"settings", "store", "core", "errors"}),
    "following": _FLOWS | {"settings", "signing"},
    "opening": _FLOWS | {"settings", "in_force"},
    "wiring": _FLOWS | {"settings", "signing", "following", "opening"},
    "metrics": _FLOWS | {"metrics", "wiring", "following"},
    "app": _WEB | {"settings", "wiring", "metrics"},
    "stopping": frozenset(),
    "http": frozenset({"errors", "web", "stopping"}),
    "logs": frozenset(),
    "serving": _WEB | {"settings", "wiring", "app", "http", "metrics", "logs"},
    "mounted": _WEB | {"settings", "opening", "app", "serving", "metrics", "wiring", "logs", "contrib"},
    "supervisor": frozenset({"settings", "http", "serving", "metrics", "store", "errors", "stopping"}),
    "demo": _TOP | {"demo"},
    "bench": _TOP | {"bench"},
    "doctor": _WEB | {"settings", "signing", "http", "doctor", "stopping"},
    "inspection": frozenset({"inspection", "embed", "doctor", "core", "errors"}),
    "simulation": _WEB | {"simulation"},
    "cli": _TOP | {"simulation", "cli", "demo", "bench", "doctor", "embed", "inspection"},
    "__main__": frozenset({"cli"}),
}
"""Part of the package to the parts it may import. A part that stands here nowhere may import nothing."""

HOMES = {
    "redis": frozenset({"store"}),
    "valkey": frozenset({"store"}),
    "starlette": frozenset({"web", "app", "serving", "mounted", "contrib", "demo", "bench"}),
}
"""A library to the parts that may import it. `serving` names Starlette's types, `bench` measures against it."""

FRAMEWORKS = {
    "jinja2": {"jinja2", "markupsafe"},
    "flask": {"flask", "werkzeug", "jinja2", "markupsafe"},
    "django": {"django"},
}
"""A module or package of `contrib` to the libraries it may import."""

IMPURE_MODULES = frozenset(
    {"anyio", "asyncio", "glob", "io", "os", "pathlib", "redis", "secrets", "select", "shutil", "signal", "socket"}
    | {"ssl", "starlette", "subprocess", "tempfile", "threading", "time", "uuid", "uvicorn", "valkey"}
)
IMPURE_CALLS = frozenset(
    {"open", "input", "print", "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "files"}
    | {"datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today"}
    | {"importlib.resources.files", "resources.files"}
)


def modules() -> dict[str, Path]:
    """Every module of the package: dotted name to file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(name: str, source: str, known: Iterable[str], *, package: bool = False) -> Iterator[Import]:
    """Every import of a module, at its head or inside a function, resolved to modules where one is meant."""
    known = frozenset(known)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = name.split(".")[: len(name.split(".")) - node.level + package]
                base = ".".join([*up, *filter(None, [node.module])])
            for alias in node.names:
                module = f"{base}.{alias.name}"
                yield name, module if module in known else base


def all_imports() -> list[Import]:
    known = modules()
    return [
        found
        for name, path in known.items()
        for found in imports_of(name, path.read_text("utf-8"), known, package=path.name == "__init__.py")
    ]


def part_of(module: str) -> str:
    """`adserve.store.keys` to `store`; the package itself, which holds only its version, to `version`."""
    return module.split(".")[1] if "." in module else "version"


def is_ours(module: str) -> bool:
    return module.split(".")[0] == "adserve"


def wrong_arrows(imports: Iterable[Import]) -> list[str]:
    """The imports that point against an arrow, or take a library away from its home."""
    wrong = []
    for source, target in imports:
        part, library = part_of(source), target.split(".")[0]
        at_home = sys.stdlib_module_names | FRAMEWORKS.get(".".join(source.split(".")[2:3]), set())
        if is_ours(target):
            if part_of(target) not in ARROWS.get(part, frozenset()):
                wrong.append(f"{source} imports {target}: {part} may not import {part_of(target)}")
        elif part not in HOMES.get(library, {part}):
            wrong.append(f"{source} imports {target}: {library} belongs to {', '.join(sorted(HOMES[library]))}")
        elif part == "contrib" and library not in at_home:
            wrong.append(f"{source} imports {target}: contrib takes only the standard library and its framework")
    return wrong


def cycle(imports: Iterable[Import]) -> list[str]:
    """One ring of modules that import each other, or nothing."""
    graph: dict[str, set[str]] = {}
    for source, target in imports:
        if is_ours(target) and source != target:
            graph.setdefault(source, set()).add(target)
    done: set[str] = set()
    path: list[str] = []

    def visit(module: str) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        path.append(module)
        for target in sorted(graph.get(module, ())):
            if ring := visit(target):
                return ring
        done.add(path.pop())
        return []

    for module in sorted(graph):
        if ring := visit(module):
            return ring
    return []


def impurities(source: str) -> list[str]:
    """What a module of `core` must not do: meet the clock, chance, files, processes, the loop or a server."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found += [f"line {node.lineno}: {name}" for name in names if name.split(".")[0] in IMPURE_MODULES]
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").split(".")[0] in IMPURE_MODULES:
                found.append(f"line {node.lineno}: {node.module}")
            if node.module == "random" and any(alias.name != "Random" for alias in node.names):
                found.append(f"line {node.lineno}: chance of the module `random`")
        elif isinstance(node, ast.Call):
            call = ast.unparse(node.func)
            unseeded = call in ("Random", "random.Random") and not node.args
            on_a_file = re.search(r"\.(read|write)_(text|bytes)$", call)
            if call in IMPURE_CALLS or unseeded or on_a_file or re.fullmatch(r"random\.(?!Random$)\w+", call):
                found.append(f"line {node.lineno}: {call}()")
    return found


# ---- imports


def test_imports_point_one_way() -> None:
    """Web and cli stand on flows, flows on store and intake, those on core, and never the other way."""
    assert wrong_arrows(all_imports()) == []


def test_no_modules_import_each_other_in_a_ring() -> None:
    """A ring is a ring, even where a function hides one of its imports."""
    assert cycle(all_imports()) == []


def test_every_part_of_the_package_has_its_arrows() -> None:
    """A new top-level module is placed in the table of arrows before it is used."""
    assert {part_of(name) for name in modules()} <= set(ARROWS)


def test_core_is_pure() -> None:
    """No module of core or charts meets the clock, chance, files, the event loop, the store or the web."""
    pure = {name: path for name, path in modules().items() if part_of(name) in ("core", "charts")}
    found = {name: impurities(path.read_text("utf-8")) for name, path in pure.items()}
    assert {part_of(name) for name in found} == {"core", "charts"}
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("adserve.core.decide", "adserve.store.ledger"),
        ("adserve.core.decide", "redis.asyncio"),
        ("adserve.store.ledger", "adserve.flows.track"),
        ("adserve.store.ledger", "adserve.intake.images"),
        ("adserve.intake.images", "adserve.store.media"),
        ("adserve.flows.serve", "adserve.web.delivery"),
        ("adserve.flows.serve", "redis"),
        ("adserve.flows.serve", "starlette.requests"),
        ("adserve.flows.serve", "adserve.settings"),
        ("adserve.web.delivery", "adserve.wiring"),
        ("adserve.web.delivery", "adserve.cli.main"),
        ("adserve.web.delivery", "redis.exceptions"),
        ("adserve.cli.main", "starlette.routing"),
        ("adserve.contrib.jinja2", "adserve.flows.serve"),
        ("adserve.contrib.jinja2", "flask"),
        ("adserve.contrib.client", "markupsafe"),
        ("adserve.contrib.django.apps", "jinja2"),
        ("adserve.errors", "adserve.core.model"),
        ("adserve.newcomer", "adserve.core.model"),
    ],
)
def test_the_arrow_checker_finds_a_planted_fault(source: str, target: str) -> None:
    """Each kind of forbidden import is seen, alone among allowed ones."""
    allowed = [
        ("adserve.web.delivery", "adserve.flows.serve"),
        ("adserve.store.client", "redis.asyncio"),
        ("adserve.contrib.jinja2", "markupsafe"),
        ("adserve.contrib.django.templatetags.slots", "django.template"),
        ("adserve.core.token", "adserve.errors"),
    ]
    assert wrong_arrows(allowed) == []
    (complaint,) = wrong_arrows([*allowed, (source, target)])
    assert complaint.startswith(f"{source} imports {target}")


def test_the_import_reader_looks_into_functions_and_relative_imports() -> None:
    """An import inside a function, one of a name, one of a submodule and relative ones are all resolved."""
    source = (
        "def late():\n    import redis\n    from adserve.store import keys\n"
        "from adserve.store.keys import Keys\nfrom . import worker\nfrom ..core.model import Site\n"
    )
    known = ["adserve.store.keys", "adserve.flows.worker", "adserve.core.model"]
    assert sorted(target for _, target in imports_of("adserve.flows.x", source, known)) == [
        "adserve.core.model",
        "adserve.flows.worker",
        "adserve.store.keys",
        "adserve.store.keys",
        "redis",
    ]
    assert list(imports_of("adserve.flows", "from .worker import Worker", known, package=True)) == [
        ("adserve.flows", "adserve.flows.worker")
    ]


def test_the_ring_finder_finds_a_planted_ring() -> None:
    """Three modules in a ring are named in order, a diamond is none."""
    a, b, c, d = "adserve.a", "adserve.b", "adserve.c", "adserve.d"
    diamond = [(a, b), (a, c), (b, d), (c, d)]
    assert cycle(diamond) == []
    assert cycle([*diamond, (d, a)]) == [a, b, d, a]


@pytest.mark.parametrize(
    "line",
    [
        "import time",
        "from time import monotonic",
        "import asyncio",
        "import redis.asyncio",
        "from starlette.types import Scope",
        "import os.path",
        "from pathlib import Path",
        "from random import random",
        "random.random()",
        "random.Random()",
        "datetime.now(UTC)",
        "open('rules')",
        "rules.read_text()",
    ],
)
def test_the_purity_checker_finds_a_planted_fault(line: str) -> None:
    """Each way out of pure code is seen, also inside a function."""
    pure = "from random import Random\n\ndef f(draws: Random, seed: int):\n    Random(seed)\n    draws.random()\n"
    assert impurities(pure) == []
    assert len(impurities(f"{pure}    {line}\n")) == 1


def test_no_file_is_too_long_to_read_in_one_sitting() -> None:
    """A module that grows past the limit is split by noun."""
    lengths = {str(path): len(path.read_text("utf-8").splitlines()) for path in modules().values()}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


# ---- locks


def test_both_locks_say_the_same() -> None:
    """The export that pip reads names the packages, versions and hashes of uv.lock, no more and no fewer."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))
    packages = [package for package in lock["package"] if package["name"] != "adserve"]
    text = (ROOT / "requirements.lock").read_text("utf-8")
    pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))
    assert pinned == {package["name"]: package["version"] for package in packages}
    files = [file for package in packages for file in [*package.get("wheels", ()), package.get("sdist", {})] if file]
    assert set(re.findall(r"--hash=(sha256:[0-9a-f]{64})", text)) == {file["hash"] for file in files}


def test_locks_name_no_other_index_and_no_local_path() -> None:
    """What is locked here can be installed anywhere: everything comes from PyPI."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))
    sources = [package["source"] for package in lock["package"] if package["name"] != "adserve"]
    assert all(source == {"registry": "https://pypi.org/simple"} for source in sources)
    addresses = re.findall(r'url = "([^"]*)"', (ROOT / "uv.lock").read_text("utf-8"))
    assert all(address.startswith("https://files.pythonhosted.org/") for address in addresses)
    export = (ROOT / "requirements.lock").read_text("utf-8")
    assert not re.search(r"://|^-|^\S*/", export, re.MULTILINE)


# ---- containers


def dockerfile() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, each with its words; continued lines are one."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text("utf-8"))
    lines = [line.strip() for line in text.splitlines()]
    pairs = [line.partition(" ") for line in lines if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in pairs]


def test_dockerfile_ends_as_an_unprivileged_user_and_says_whether_it_is_well() -> None:
    """The last stage runs as a user that is not root, and asks /healthz."""
    instructions = dockerfile()
    known = {"FROM", "WORKDIR", "RUN", "COPY", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL"}
    assert {word for word, _ in instructions} <= known | {"HEALTHCHECK", "ENTRYPOINT", "CMD"}
    last = max(at for at, (word, _) in enumerate(instructions) if word == "FROM")
    final = instructions[last:]
    users = [rest for word, rest in final if word == "USER"]
    assert users, "the last stage names no user"
    assert users[-1].split(":")[0] not in ("root", "0")
    (check,) = [rest for word, rest in final if word == "HEALTHCHECK"]
    assert "/healthz" in check


def test_dockerfile_copies_only_what_is_there() -> None:
    """Every file that the image is built from stands in the repository."""
    for word, rest in dockerfile():
        if word == "COPY" and "--from" not in rest:
            missing = [source for source in rest.split()[:-1] if not (ROOT / source).exists()]
            assert missing == []


def test_compose_file_keeps_the_log_and_evicts_nothing() -> None:
    """The store of the compose file writes its log and never drops a counter; nobody runs as root by wish."""
    compose: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    store, service = compose["services"]["store"], compose["services"]["adserve"]
    options = dict(zip(store["command"][1::2], store["command"][2::2], strict=True))
    assert options == {"--appendonly": "yes", "--appendfsync": "everysec", "--maxmemory-policy": "noeviction"}
    assert store["healthcheck"]["test"]
    assert service["deploy"]["replicas"] >= 1
    assert service["read_only"] is True
    assert "user" not in service or str(service["user"]).split(":")[0] not in ("root", "0")


def test_compose_file_uses_settings_that_exist() -> None:
    """A variable that the service would refuse at its start is found here."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    settings = importlib.import_module("adserve.settings").SETTINGS
    assert set(compose["services"]["adserve"]["environment"]) <= {setting.env for setting in settings}


# ---- documents


def document(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_readme_is_short_and_names_the_two_commands() -> None:
    """A newcomer reads it in one go and finds how to see it run and how to test it."""
    text = document("README.md")
    assert len(text.splitlines()) < MAX_README_LINES
    assert "make demo" in text
    assert "make test" in text


def test_every_setting_is_documented() -> None:
    """An operator finds every variable in docs/operations.md."""
    settings = importlib.import_module("adserve.settings").SETTINGS
    named = set(re.findall(r"ADSERVE_[A-Z0-9_]+", document("docs/operations.md")))
    assert {setting.env for setting in settings} - named == set()


def documented(method: str, path: str, text: str) -> bool:
    """Whether one line of `text` has the method and the path, with or without `/api/v1` before it."""
    plain = re.sub(r"\{(\w+):\w+\}", r"{\1}", path)
    forms = {plain, plain.removeprefix("/api/v1")} - {""}
    ends = re.compile("|".join(rf"(?<![\w/}}]){re.escape(form)}(?![\w/{{.-])" for form in forms))
    word = re.compile(rf"\b{method}\b")
    return any(word.search(line) and ends.search(line) for line in text.splitlines())


def test_every_route_is_documented() -> None:
    """A caller finds method and path of every route, delivery and all, on one line of docs/api.md."""
    routes = importlib.import_module("adserve.web.routes").ROUTES
    paths = importlib.import_module("adserve.web.api.openapi").document(routes)["paths"]
    text = document("docs/api.md")
    called = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    assert [f"{method} {path}" for method, path in called if not documented(method, path, text)] == []


def test_the_route_finder_wants_method_and_whole_path() -> None:
    """Half a path, or the path beside another method, is not documented."""
    text = "| `GET /sites/{id}` | one |\n| `POST /keys` | made |\n"
    assert documented("GET", "/api/v1/sites/{id}", text)
    assert not documented("GET", "/api/v1/sites", text)
    assert not documented("DELETE", "/api/v1/sites/{id}", text)


def error_tree(root: type[adserve.errors.AdserveError]) -> Iterator[type[adserve.errors.AdserveError]]:
    for child in root.__subclasses__():
        if child.__module__ == "adserve.errors":
            yield child
        yield from error_tree(child)


def codes_in(source: str) -> set[str]:
    """The codes that a module writes: those of its errors, of `Problem(...)` and `problem(...)`, and every `code=`."""
    found = set(re.findall(r'^    code = "([a-z_]+)"', source, re.MULTILINE))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            texts = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            if ast.unparse(node.func).lower().endswith("problem"):
                texts += node.args[1:]
            constants = [text.value for text in texts if isinstance(text, ast.Constant)]
            found |= {text for text in constants if isinstance(text, str) and re.fullmatch("[a-z_]+", text)}
    return found


def test_every_error_code_is_documented() -> None:
    """A caller finds every stable code in docs/api.md, also those inside `errors` and of the command line."""
    text = document("docs/api.md")
    codes = {error.code for error in error_tree(adserve.errors.AdserveError)}
    for path in modules().values():
        codes |= codes_in(path.read_text("utf-8"))
    wrong = dict.fromkeys(("from", "period", "by", "tz", "format", "site"), "?")
    with pytest.raises(adserve.errors.Invalid) as refused:  # some of these codes are put together
        parse_query(wrong, now=0, default_tz="UTC")
    codes |= {problem.code for problem in refused.value.problems}
    assert {"too_many_rows", "bad_picture", "unknown_format", "no_data", "internal", "port_busy"} <= codes
    assert {code for code in codes if f"`{code}`" not in text} == set()


def test_every_common_reason_of_a_rejection_is_documented() -> None:
    """Code and words, as a reviewer chooses them."""
    text = document("docs/creatives.md")
    assert [code for code, words in REJECTIONS.items() if f"| `{code}` | {words} |" not in text] == []


def test_every_split_of_a_report_is_documented() -> None:
    """And every parameter."""
    text = document("docs/api.md")
    assert [name for name in (*DIMENSIONS, *PARAMETERS) if f"`{name}`" not in text] == []


def test_every_member_of_a_report_is_documented() -> None:
    """A reader finds what each column means; the report is split by everything and holds two currencies."""
    cells = {"1.11.1.1.s": "1", "1.11.1.1.m.INR": "1", "1.11.1.1.m.USD": "1"}
    report = make([Batch(TODAY, cells)], ",".join(DIMENSIONS))
    text = document("docs/api.md").partition("### What a report says")[2].partition("\n### ")[0]
    members = {*report, *report["totals"], *(name for row in report["rows"] for name in row)} - {*DIMENSIONS}
    assert {"revenue_by_currency", "final", "slot_name", "notes"} <= members
    assert {name for name in members if f"`{name}`" not in text} == set()


def test_every_picture_that_a_document_shows_is_there_and_small() -> None:
    """Nobody who clones the project for its code waits for pictures; none lies there that no document shows."""
    shown = {
        path.parent / name
        for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
        for name in re.findall(r"!\[[^\]]+\]\(([^):]+)\)", path.read_text("utf-8"))
    }
    assert len(shown) >= 10
    assert [path for path in shown if not path.is_file()] == []
    assert [path for path in shown if path.suffix == ".png" and path.stat().st_size > 60_000] == []
    assert {path.resolve() for path in (ROOT / "docs" / "pictures").iterdir()} == {path.resolve() for path in shown}


async def test_every_metric_that_a_document_names_is_printed(api: Api) -> None:
    """An operator who copies a name into a query or an alarm finds figures under it."""
    printed = kinds((await api.http.get("/metrics")).text)
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    named = {name for path in files for name in re.findall(r"`(adserve_[a-z_]+)", path.read_text("utf-8"))}
    assert {"adserve_breaker_closed", "adserve_clicks_uncounted_total"} <= named
    assert named - {*printed} == set()


async def test_the_table_of_metrics_is_that_of_the_service(api: Api) -> None:
    """It names every metric with its type, its labels and every value that they can have, and no other."""
    text = (await api.http.get("/metrics")).text
    table = document("docs/operations.md").partition("\n## Metrics\n")[2].partition("\n## ")[0]
    row = re.compile(r"^\| `(adserve_\w+)(?:\{([a-z,]+)\})?` \| (\w+) \| [\w ]+ \| (.+) \|$", re.MULTILINE)
    rows = {name: (kind, labels, meaning) for name, labels, kind, meaning in row.findall(table)}
    assert {name: kind for name, (kind, _, _) in rows.items()} == kinds(text)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            _, labels, meaning = rows[sample.name if sample.name in rows else family.name]
            values = {name: value for name, value in sample.labels.items() if name != "le"}
            assert sorted(values) == sorted(filter(None, labels.split(",")))
            if family.name != "adserve_build_info":
                assert [value for value in values.values() if f"`{value}`" not in meaning] == []


async def test_alerts_ask_for_what_is_printed(api: Api) -> None:
    """A rule about a name or a label value that is none would never fire. Each says what to do."""
    text = (await api.http.get("/metrics")).text
    known = {*kinds(text), *(name.partition("{")[0] for name in samples(text))}
    (group,) = yaml.safe_load(document("docs/alerts.yml"))["groups"]
    asked = re.compile(r"(adserve_\w+)(?:\{(\w+=\"[^\"]*\")\})?")
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in ("page", "warn")
        assert {*rule["annotations"]} == {"summary", "remedy"}
        found = asked.findall(rule["expr"])
        assert found
        for name, matcher in found:
            assert name in known, rule["alert"]
            assert not matcher or f"{name}{{{matcher}}}" in samples(text), rule["alert"]
    assert len({rule["alert"] for rule in group["rules"]}) == len(group["rules"])


def test_what_the_tag_sends_is_documented() -> None:
    """A publisher reads in docs/privacy.md what leaves the reader's browser."""
    asked = re.search(r"const ask = \{(.*?)\};", document("adserve/web/static/source/slots.js"), re.DOTALL)
    assert asked
    names = re.findall(r"(?:^|,)\s*(\w+)(?=[:,])", asked[1], re.MULTILINE)
    assert {"slots", "pv", "url", "labels", "width"} <= set(names)
    assert [name for name in names if f"`{name}`" not in document("docs/privacy.md")] == []
