"""The table of all pages, in the order of the navigation."""

from __future__ import annotations

from adserve.web.console import campaign_report, entry, home, reports, sites
from adserve.web.console.page import Page

PAGES: tuple[Page, ...] = (
    *home.PAGES,
    *sites.PAGES,
    *reports.PAGES,
    *campaign_report.PAGES,
    *entry.PAGES,
)
