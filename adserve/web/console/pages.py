"""The table of all pages, in the order of the navigation."""

from __future__ import annotations

from adserve.web.console import (
    campaign_report,
    creatives,
    entry,
    home,
    preview,
    reports,
    review,
    sites,
    upload,
)
from adserve.web.console.page import Page

PAGES: tuple[Page, ...] = (
    *home.PAGES,
    *sites.PAGES,
    *upload.PAGES,
    *creatives.PAGES,
    *review.PAGES,
    *preview.PAGES,
    *reports.PAGES,
    *campaign_report.PAGES,
    *entry.PAGES,
)
