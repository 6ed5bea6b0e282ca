"""The table of all pages, in the order of the navigation."""

from __future__ import annotations

from adserve.web.console import entry, home, sites
from adserve.web.console.page import Page

PAGES: tuple[Page, ...] = (
    *home.PAGES,
    *sites.PAGES,
    *entry.PAGES,
)
