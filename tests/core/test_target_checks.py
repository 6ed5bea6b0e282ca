"""A campaign's target as it is written, checked and kept."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserve.core.form import Form
from adserve.core.members import CAMPAIGN
from adserve.core.model import Rule, Target
from adserve.core.target_checks import target
from adserve.core.validate import Several


def problems(value: Any) -> dict[str, str]:
    """What is wrong with a target, by pointer, as a body of a campaign has it."""
    form = Form({"target": value})
    form.take("target", None, CAMPAIGN["target"].check)
    return {one.pointer: one.detail for one in form.problems}


def test_every_rule_is_kept_in_the_form_in_which_it_is_compared() -> None:
    """Case, composition, spacing, spelling of addresses and hours; what is said twice stands once."""
    assert target(
        {
            "labels": {"any": [" Politics ", "POLITICS", "E\u0301lections"], "none": ["Straße"]},
            "urls": {"none": ["https://News.example/W%6Frld", "xn--bcher-kva.example"]},
            "languages": {"any": ["en-GB", "zh_Hant"]},
            "countries": {"all": ["in"]},
            "devices": {"any": ["mobile"]},
            "kv": {"Section": {"any": ["Home Page"]}, "empty": {"any": []}},
            "hours": ["MON,tue 9:00-17:00", "mon-tue 09:00-17:00"],
        }
    ) == Target(
        labels=Rule(any=("politics", "élections"), none=("strasse",)),
        urls=Rule(none=("news.example/World/", "bücher.example/*")),
        languages=Rule(any=("en-gb", "zh-hant")),
        countries=Rule(all=("IN",)),
        devices=Rule(any=("mobile",)),
        kv={"Section": Rule(any=("home page",))},
        hours=("mon-tue 09:00-17:00",),
    )


@pytest.mark.parametrize(
    "empty",
    [{}, {"labels": {}}, {"labels": None}, {"labels": {"any": [], "none": None}}, {"kv": {"a": {}}}, {"hours": []}],
)
def test_a_target_without_a_rule_is_none(empty: dict[str, Any]) -> None:
    assert target(empty) is None
    assert jsonschema_rs.is_valid({**target.schema}, empty)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], {"/target": "takes an object of labels, urls"}),
        ({"label": {}}, {"/target/label": "did you mean labels?"}),
        ({"labels": ["a"]}, {"/target/labels": "takes an object of any, all, none"}),
        ({"labels": {"nine": []}}, {"/target/labels/nine": "did you mean none?"}),
        ({"labels": {"any": "a"}}, {"/target/labels/any": "takes a list of at most 200"}),
        ({"labels": {"any": ["a"] * 201}}, {"/target/labels/any": "takes a list of at most 200"}),
        ({"labels": {"any": ["a", 1, "a,b", " "]}}, {
            "/target/labels/any/1": "takes text",
            "/target/labels/any/2": "must not hold a comma",
            "/target/labels/any/3": "must not be empty",
        }),
        ({"labels": {"any": ["ß" * 31]}}, {"/target/labels/any/0": "takes at most 60 characters"}),
        ({"labels": {"any": ["a\u202eb"]}}, {"/target/labels/any/0": "holds invisible"}),
        ({"urls": {"any": ["/world"]}}, {"/target/urls/any/0": "takes patterns like"}),
        ({"urls": {"any": ["news.example/?a=1"]}}, {"/target/urls/any/0": "takes no ?"}),
        ({"languages": {"any": ["english!"]}}, {"/target/languages/any/0": "takes language tags"}),
        ({"countries": {"any": ["IND", "UK"]}}, {
            "/target/countries/any/0": "takes countries as two letters",
            "/target/countries/any/1": "takes GB",
        }),
        ({"countries": {"all": ["IN", "NP"]}}, {"/target/countries/all": "takes one value at most"}),
        ({"devices": {"any": ["tablets"]}}, {"/target/devices/any/0": "did you mean tablet?"}),
        ({"devices": {"any": ["unknown"]}}, {"/target/devices/any/0": "takes desktop, mobile, tablet"}),
        ({"kv": []}, {"/target/kv": "takes an object of names"}),
        ({"kv": {"a b": {"any": ["x"]}}}, {"/target/kv/a b": "takes names of 1 to 64"}),
        ({"kv": {f"n{at}": {"any": ["x"]} for at in range(21)}}, {"/target/kv": "takes at most 20 names"}),
        ({"kv": {"a": {"some": ["x"]}}}, {"/target/kv/a/some": "is no member"}),
        ({"hours": ["9 to 5"]}, {"/target/hours/0": "takes hours like"}),
        ({"hours": ["mon"] * 51}, {"/target/hours": "takes a list of at most 50"}),
        ({"hours": ["x"], "labels": {"any": [1]}, "y": 1}, {
            "/target/hours/0": "takes hours like",
            "/target/labels/any/0": "takes text",
            "/target/y": "is no member: takes labels, urls",
        }),
    ],
)  # fmt: skip
def test_everything_that_is_wrong_is_named(value: Any, expected: dict[str, str]) -> None:
    """All at once, each with the way to it and what it takes."""
    found = problems(value)
    assert found.keys() == expected.keys()
    for pointer, detail in expected.items():
        assert detail in found[pointer]


def test_alone_the_check_names_the_member_too() -> None:
    with pytest.raises(Several, match=r"^labels\.any takes a list of at most 200; kv takes an object"):
        target({"labels": {"any": 1}, "kv": 1})


texts = st.text(max_size=70) | st.sampled_from(
    [
        "a",
        "News.example/%20/é*",
        "*.example",
        "en-GB",
        "IN",
        "mobile",
        "mon 9:00-9:01",
        "x%E2%80%8Dy.example/a",
        "q/b\u200d c",
    ]
)
values = st.lists(texts, max_size=3)
rule = st.fixed_dictionaries({}, optional={"any": values, "all": values, "none": values})


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("labels", "urls", "languages", "countries", "devices"), rule)
        | {"kv": st.dictionaries(texts, rule, max_size=2), "hours": values},
    )
)
def test_what_was_kept_is_taken_again_unchanged(value: dict[str, Any]) -> None:
    """What `GET` shows can be sent back; the schema takes it too."""
    for name, one in value.items():
        try:
            made = target({name: one})
        except ValueError:
            continue
        assert jsonschema_rs.is_valid({**target.schema}, msgspec.to_builtins(made) or {})
        assert made is None or target(msgspec.to_builtins(made)) == made


@pytest.mark.parametrize(
    "written",
    [
        "news.example/%CC%80" + "%CC%80" * 60,
        "news.example/a%0Ab",
        "news.example/" + "%C3%A9" * 300,
        "e.example/%2f%2A%25/*",
    ],
)
def test_a_pattern_that_decodes_to_strange_text_is_refused_or_kept_whole(written: str) -> None:
    try:
        made = target({"urls": {"any": [written]}})
    except ValueError:
        return
    assert target(msgspec.to_builtins(made)) == made
