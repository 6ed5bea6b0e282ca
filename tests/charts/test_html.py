"""Charts within HTML, as browsers read it."""

from __future__ import annotations

import html5lib
import pytest

from tests.charts.test_charts import a_chart, all_charts


@pytest.mark.parametrize("text", [a_chart(), *all_charts("Tea & more")])
def test_a_chart_is_html_without_a_fault(text: str) -> None:
    """An empty one too: what XML may write short, HTML may not."""
    parser = html5lib.HTMLParser()
    parser.parse(f"<!doctype html><title>t</title>{text}")
    assert parser.errors == []
