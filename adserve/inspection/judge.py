"""What is wrong with the slots of a page. Pure: a page as it was fetched, and the catalog's places.

DESIGN. One function a thing that can be wrong; the tuple at the end is their list, in the order of telling.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from adserve.core.asking import words
from adserve.core.model import Size
from adserve.core.validate import nearest
from adserve.doctor.findings import Finding, problem, warning
from adserve.embed.place import Place
from adserve.inspection.csp import Policy, knows_our_types, policies, refuses
from adserve.inspection.fetch import Page
from adserve.inspection.page import MOST_ELEMENTS, Element, Found, height_rules, reserved

Sites = Mapping[str, Mapping[str, Place]]
"""Places by site and name."""
MAX_LABELS = 50
_labels = words(MAX_LABELS)
_ODD = re.compile(r"[\[\]{}\"<>;|]")
_STEP = re.compile(r"([0-9]{1,4}x[0-9]{1,4})(?:@([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Case:
    """`base`: where the service is reached; None when nobody said."""

    page: Page
    found: Found
    base: str | None
    sites: Sites

    @property
    def site(self) -> str:
        """That of the script; of the only site, where the script says none."""
        said = next((one.site for one in self.found.scripts if one.site), "")
        return said or (next(iter(self.sites)) if len(self.sites) == 1 else "")

    def place(self, element: Element) -> Place | None:
        return self.sites.get(element.site or self.site, {}).get(element.slot)


def judge(case: Case) -> list[Finding]:
    return [finding for look in LOOKS for finding in look(case)]


def _answer(case: Case) -> Iterator[Finding]:
    page, kind = case.page, case.page.header("content-type").lower()
    if page.status != 200:
        yield problem("answer", f"the page answers {page.status}", "give the address of a page that readers see")
    if kind and not any(one in kind for one in ("text/html", "xhtml")):
        yield problem("answer", f"the answer is {kind[:60]} and no HTML", "give the address of a page")
    if page.cut:
        yield warning("answer", "only the first 2 MB were read", "what stands behind them was not looked at")
    if case.found.more:
        yield warning(
            "answer", f"only the first {MOST_ELEMENTS} slots of a kind were read", "what follows was not looked at"
        )
    if not case.found:
        yield problem("slots", "the page has no slot", "paste what `adserve embed` prints")


def _script(case: Case) -> Iterator[Finding]:
    scripts, paste = case.found.scripts, "paste the line that `adserve embed --for html` prints"
    if not scripts and case.found.slots:
        yield problem("script", "there is no line that loads slots.js: nothing fills", paste)
    if not scripts and case.found.units:
        yield warning("script", "there is no line that loads slots.js: views are not measured", paste)
    for one in scripts:
        if not one.site:
            yield problem("script", f"line {one.line}: data-site is missing", 'say which site it is: data-site="news"')
        elif one.site not in case.sites:
            near = nearest(one.site.lower(), case.sites)
            yield problem("script", f"line {one.line}: there is no site {one.site[:64]}{near}", "correct data-site")
        if case.base and not _is_at(one.url, case.base):
            yield problem(
                "script", f"line {one.line}: {one.url[:200]} is not the service", f"load {case.base}/slots.js"
            )
    if len(scripts) > 1:
        lines = ", ".join(str(one.line) for one in scripts)
        if len({(one.url, one.site) for one in scripts}) > 1:
            yield problem(
                "script", f"lines {lines} load slots.js for different sites or hosts", "the first alone works"
            )
        else:
            yield problem("script", f"slots.js is loaded {len(scripts)} times, in lines {lines}", "once is enough")
    if scripts and not (case.found.slots or case.found.units):
        yield warning("script", "slots.js is loaded, and nothing on the page is a slot", 'add <div data-slot="...">')


def _includes(case: Case) -> Iterator[Finding]:
    for line in case.found.includes[:1]:
        detail = f"line {line}: an include was sent as it stands in the file"
        yield problem(
            "include", detail, "switch `ssi on` for this page, and let what stands behind answer uncompressed"
        )


def _names(case: Case) -> Iterator[Finding]:
    for one in (*case.found.slots, *case.found.frames, *case.found.pairs):
        site = one.site or case.site
        if site not in case.sites:
            if one.site:
                near = nearest(one.site.lower(), case.sites)
                yield problem("slots", f"line {one.line}: there is no site {one.site}{near}", "correct the address")
        elif one.slot not in case.sites[site]:
            near = nearest(one.slot.lower(), case.sites[site])
            known = ", ".join(sorted(case.sites[site])[:20])
            yield problem("slots", f"line {one.line}: there is no slot {site}/{one.slot[:64]}{near}", f"slots: {known}")


def _sizes(case: Case) -> Iterator[Finding]:
    for one in case.found.slots:
        place = case.place(one)
        for text in one.attributes.get("data-size", "").split():
            step = _STEP.fullmatch(text)
            if step is None:
                remedy = 'write sizes as data-size="728x90@728 320x50"'
                yield problem("sizes", f"line {one.line}: data-size holds {text[:40]}, which is no size", remedy)
            elif place is not None and Size.parse(step[1]) not in place.sizes:
                has = " ".join(map(str, place.sizes)) or "none"
                yield problem("sizes", f"line {one.line}: {place.name} has no size {step[1]}", f"its sizes: {has}")


def _room(case: Case) -> Iterator[Finding]:
    remedy = "paste the <style> that `adserve embed` prints"
    rules = height_rules(case.found.styles)
    for one in case.found.slots:
        place = case.place(one)
        kept = reserved(one, rules)
        if not kept and case.found.sheets:
            detail = f"line {one.line}: the page itself reserves no height for {one.slot[:64]}; its style sheets may"
            yield warning("room", detail, remedy)
        elif not kept:
            detail = f"line {one.line}: no height is reserved for {one.slot[:64]}: what fills it pushes the page down"
            yield problem("room", detail, remedy)
        elif place is not None and kept < place.highest:
            detail = f"line {one.line}: {kept:g} px are reserved for {place.name}, which may take {place.highest}"
            yield warning("room", detail, remedy)


def _labels_of(case: Case) -> Iterator[Finding]:
    for one in case.found.labels:
        text = one.attributes["data-labels"]
        wrong = _ODD.search(text)
        try:
            _labels(text)
        except ValueError as found:
            yield problem("labels", f"line {one.line}: data-labels {found}", "leave out what is too much")
        else:
            if wrong:
                detail = f"line {one.line}: data-labels holds {wrong[0]}, as no label does"
                yield problem("labels", detail, 'write words with commas between: data-labels="world,politics"')


def _ids(case: Case) -> Iterator[Finding]:
    ours = {one.attributes.get("id", "") for one in (*case.found.slots, *case.found.frames)} - {""}
    for name in sorted(ours):
        if case.found.ids[name] > 1:
            times = case.found.ids[name]
            yield problem("ids", f"the id {name[:64]} of a slot stands on the page {times} times", "leave it out")


def _mixed(case: Case) -> Iterator[Finding]:
    if urlsplit(case.page.url).scheme != "https":
        return
    found = case.found
    for one in (*found.scripts, *found.frames, *found.pairs, *found.units):
        if one.name != "a" and one.url.startswith("http://"):
            detail = f"line {one.line}: {one.url[:200]} is plain http on a page of https: browsers refuse it"
            yield problem("https", detail, "set ADSERVE_PUBLIC_URL to https, and paste anew")


def _policy(case: Case) -> Iterator[Finding]:
    found = case.found
    known = policies([*case.page.headers.get("content-security-policy", ()), *found.policies])
    at = case.base or next((one.url.removesuffix("/slots.js") for one in found.scripts), "")
    if not known or not at or not found:
        return
    host = "{0.scheme}://{0.netloc}".format(urlsplit(at))
    for one in found.scripts:
        if name := refuses(known, "script", one.url, case.page.url, one.attributes.get("nonce", "")):
            remedy = f"allow {host}, or give the line the policy's nonce"
            yield problem("policy", f"{name} of the page's policy refuses slots.js (line {one.line})", remedy)
    yield from _other_kinds(case, known, at, host)


def _other_kinds(case: Case, known: list[Policy], at: str, host: str) -> Iterator[Finding]:
    found, page = case.found, case.page.url
    if found.slots and (name := refuses(known, "connect", f"{at}/v1/pages/x", page)):
        yield problem(
            "policy", f"{name} of the page's policy lets the tag ask for nothing", f"allow {host} in connect-src"
        )
    if name := refuses(known, "img", f"{at}/m/x", page):
        yield problem("policy", f"{name} of the page's policy refuses pictures", f"allow {host} in img-src")
    if name := refuses(known, "frame", f"{at}/v1/frames/x/y", page):
        detail, remedy = f"{name} of the page's policy refuses frames", f"allow {host} in frame-src"
        frames = bool(found.frames)
        yield problem("policy", detail, remedy) if frames else warning("policy", f"{detail} of html creatives", remedy)
    if found.slots and not knows_our_types(known):
        yield problem(
            "policy", "trusted-types of the page's policy lets the tag show nothing", "add slots to trusted-types"
        )
    if found.units and (name := refuses(known, "style attribute", at, page)):
        detail = f"{name} of the page's policy refuses the styles that a creative brings: it shows, but plainly"
        yield warning("policy", detail, "allow 'unsafe-inline' in style-src-attr, or style .slot-unit yourself")
    for text, nonce in zip(found.styles, found.nonces, strict=False):
        if found.slots and "data-slot" in text and (name := refuses(known, "style", at, page, nonce)):
            detail = (
                f"{name} of the page's policy refuses the <style> that keeps the room: what fills a slot moves the page"
            )
            yield problem("policy", detail, "give it the policy's nonce, or move its rules into your style sheet")


def _cache(case: Case) -> Iterator[Finding]:
    if case.found.units and (why := cacheable(case.page)):
        detail = (
            f"the server rendered a unit into a page that caches keep ({why}): its tokens count once and then no more"
        )
        remedy = "answer Cache-Control: private, no-store, or let the tag fill the slots"
        yield problem("cache", detail, remedy)


def cacheable(page: Page) -> str:
    """Why a shared cache may hand the page to other readers; empty when none may (RFC 9111)."""
    control = page.header("cache-control").lower()
    said = dict(one.strip().partition("=")[::2] for one in control.split(",") if one.strip())
    if {"private", "no-store"} & said.keys():
        return ""
    age = page.header("age")
    if age.isdigit() and int(age) > 0:
        return f"Age: {age}"
    if "no-cache" in said:
        return ""
    for name in ("s-maxage", "max-age"):
        if name in said:
            seconds = said[name].strip('" ')
            return f"{name}={seconds}" if seconds.isdigit() and int(seconds) > 0 else ""
    if "public" in said:
        return "public"
    if not page.header("expires"):  # then a cache may guess by the age of the page
        return "Last-Modified, and no Cache-Control" if page.header("last-modified") and not control else ""
    try:
        until = parsedate_to_datetime(page.header("expires"))
        made = parsedate_to_datetime(page.header("date")) if page.header("date") else datetime.now(UTC)
        return "Expires" if until > made else ""
    except (ValueError, TypeError):
        return ""


def _is_at(url: str, base: str) -> bool:
    """Whether an address is that of the tag at `base`; http where that is https is another complaint."""
    return re.sub(r"^http:", "https:", url.split("?")[0]) == re.sub(r"^http:", "https:", f"{base}/slots.js")


LOOKS = (_answer, _script, _includes, _names, _sizes, _room, _labels_of, _ids, _mixed, _policy, _cache)
