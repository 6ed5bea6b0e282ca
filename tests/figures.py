"""A page of `/metrics`, as a scraper reads it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

Page = dict[str, float]
"""Values by sample: `adserve_reloads_total{outcome="done"}`."""


def samples(text: str) -> Page:
    found: Page = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def kinds(text: str) -> dict[str, str]:
    """`counter`, `gauge` or `histogram` by the name that queries use."""
    lines = [line.split() for line in text.splitlines() if line.startswith("# TYPE ")]
    return {name: kind for _, _, name, kind in lines}


def only_grow(page: Page) -> Page:
    """The samples of a page that may never go back."""
    ends = ("_total", "_bucket", "_count", "_sum")
    return {name: value for name, value in page.items() if name.partition("{")[0].endswith(ends)}
