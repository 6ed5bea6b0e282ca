"""`adserve simulate`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from msgspec.structs import replace

from adserve.cli.options import as_json, of_file, read_bytes, shared, show, with_services
from adserve.cli.progress import CLEAR, EVERY_S
from adserve.core.catalog import Catalog
from adserve.core.schedule import day_bounds, local_day, parse_moment, zone
from adserve.errors import Invalid, Problem
from adserve.flows.services import Services
from adserve.settings import Settings
from adserve.simulation.catalog import compiled, read_catalog
from adserve.simulation.engine import Engine, history
from adserve.simulation.log import Log
from adserve.simulation.picture import picture
from adserve.simulation.profile import Generator, Profile, read_profile
from adserve.simulation.report import table, told


@click.command("simulate")
@shared
@as_json
@click.option(
    "--catalog",
    "catalog_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON with sites, slots, advertisers, campaigns, creatives; left out: what the service has",
)
@click.option(
    "--traffic",
    default="profile",
    show_default=True,
    help="a log of slot and page calls, a profile (.json), or profile for the built-in one",
)
@click.option("--start", help="local date or RFC 3339 time of the first generated traffic; left out: the site's today")
@click.option("--days", default=1, show_default=True, type=click.IntRange(1, 400), help="of generated traffic")
@click.option("--page-views", type=click.FloatRange(1, 1e8), help="a day, of generated traffic")
@click.option(
    "--history",
    "weeks",
    default=0,
    show_default=True,
    type=click.IntRange(0, 8),
    help="weeks of such traffic that were learned before",
)
@click.option("--seed", default=1, show_default=True, help="the same seed gives the same figures")
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), help="draw what was planned and delivered")
def simulate_command(
    json_: bool,
    data_dir: str | None,
    redis_url: str | None,
    catalog_file: Path | None,
    traffic: str,
    start: str | None,
    days: int,
    page_views: float | None,
    weeks: int,
    seed: int,
    svg: Path | None,
) -> None:
    """What a catalog delivers of some traffic, decided by the code that serves, in virtual time."""
    if svg is not None and not svg.parent.is_dir():
        raise click.BadParameter(f"there is no directory {svg.parent}", param_hint="--svg")
    text = read_bytes(catalog_file) if catalog_file is not None else None
    catalog = _stored(data_dir, redis_url) if text is None else read_catalog(text, int(time.time()))
    sites = [slots[0].site for slots in catalog.pages.values() if slots]
    if not sites:
        raise click.UsageError("the catalog has no site with slots")
    file = None if traffic == "profile" else Path(traffic)
    if file is not None and not file.is_file():
        detail = f"there is no file {traffic}; for generated traffic say profile"
        raise click.BadParameter(detail, param_hint="--traffic")
    if file is not None and not _is_profile(file):
        with of_file(file), file.open(encoding="utf-8", errors="replace") as lines:
            log = Log(lines, catalog)
        if not len(log):
            raise Invalid([Problem("", f"{traffic} has no slot or page call of this catalog")])
        begin, end, profile = log.start, log.end, Profile()
        arrivals = log.arrivals()
        learned = None
    else:
        profile = Profile() if file is None else read_profile(read_bytes(file))
        if page_views is not None:
            profile = _with_views(profile, page_views)
        tz = zone(sites[0].timezone)
        begin = first_moment(start, tz, int(time.time()))
        end = begin + days * 86_400
        arrivals = Generator(profile, catalog, seed).arrivals(begin, end)
        learned = history(catalog, profile, begin, weeks, seed) if weeks else None
        log = None
    engine = Engine(catalog, profile, begin, seed=seed, history=learned)
    outcome = engine.run(arrivals, _bar(begin, end))
    result = {**told(outcome, catalog), "skipped_lines": log.skipped if log is not None else 0, "seed": seed}
    show(result, json_, lambda found: [table(found)])
    if svg is not None:
        with of_file(svg):
            svg.write_text(picture(outcome, catalog), encoding="utf-8")


def first_moment(start: str | None, tz: ZoneInfo, now: int) -> int:
    """Epoch seconds of what `--start` says; without it the beginning of the day that it is in `tz`."""
    if not start:
        return day_bounds(local_day(now, tz), tz)[0]
    try:
        return parse_moment(start, tz)
    except ValueError as problem:
        raise click.BadParameter(str(problem), param_hint="--start") from None


def _stored(data_dir: str | None, redis_url: str | None) -> Catalog:
    async def work(services: Services, _: Settings) -> Any:
        things = (await services.catalog.load_all())[1]
        return compiled(things)

    found: Catalog = with_services({"data_dir": data_dir, "redis_url": redis_url}, work)
    return found


def _is_profile(file: Path) -> bool:
    """Whether a file is a profile and no log: one JSON object, and none of a log's lines."""
    with of_file(file), file.open("rb") as opened:
        head = opened.read(4096).lstrip()
    return file.suffix == ".json" and head.startswith(b"{") and b'"path"' not in head


def _with_views(profile: Profile, page_views: float) -> Profile:
    return replace(profile, page_views=page_views)


def _bar(begin: int, end: int) -> Any:
    """A line on stderr that says how far it has come, where that is a terminal."""
    due = 0.0

    def say(moment: int, decisions: int) -> None:
        nonlocal due
        if sys.stderr.isatty() and (time.monotonic() >= due or moment >= end):
            due = time.monotonic() + EVERY_S
            part = min(1.0, (moment - begin) / max(1, end - begin))
            bar = "#" * int(part * 30)
            line = f"{CLEAR}{bar:30} {part:4.0%}  {decisions:,} decisions" if part < 1 else CLEAR
            print(line, end="", file=sys.stderr, flush=True)

    return say
