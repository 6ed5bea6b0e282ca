"""The table of all pages, in the order of the navigation."""

from __future__ import annotations

from adserve.web.console import (
    advertisers,
    campaign_changes,
    campaign_report,
    campaigns,
    creatives,
    embed,
    entry,
    home,
    preview,
    reports,
    review,
    sites,
    slots,
    upload,
)
from adserve.web.console.page import Page

PAGES: tuple[Page, ...] = (
    *home.PAGES,
    *campaign_changes.PAGES,
    *campaigns.PAGES,
    *upload.PAGES,
    *creatives.PAGES,
    *review.PAGES,
    *preview.PAGES,
    *advertisers.PAGES,
    *sites.PAGES,
    *slots.PAGES,
    *embed.PAGES,
    *reports.PAGES,
    *campaign_report.PAGES,
    *entry.PAGES,
)
