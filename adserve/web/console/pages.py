"""The table of all pages, in the order of the navigation."""

from __future__ import annotations

from adserve.web.console import (
    account,
    advertisers,
    audit,
    campaign_changes,
    campaign_report,
    campaigns,
    creatives,
    embed,
    entry,
    explain,
    home,
    keys,
    links,
    live,
    preview,
    reports,
    review,
    sites,
    slots,
    system,
    upload,
    users,
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
    *live.PAGES,
    *explain.PAGES,
    *users.PAGES,
    *keys.PAGES,
    *audit.PAGES,
    *system.PAGES,
    *account.PAGES,
    *entry.PAGES,
    *links.PAGES,
)
