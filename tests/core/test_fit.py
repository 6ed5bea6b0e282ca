"""Which slots a content fits, in which form, from which files, and in what words it is told that it does not."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from adserve.core.entry import entry_of
from adserve.core.fit import forms_of
from adserve.core.gate import problems_of
from adserve.core.layout import BUTTON_PX, Layout, layout_of
from adserve.core.model import Content, Creative, File, Media, Slot
from adserve.core.sources import sources_of
from adserve.snippet import compile_snippet


def media(name: str, kb: float = 10, ending: str = "png") -> Media:
    return Media(f"{name:0>40}.{ending}", f"image/{ending}", int(kb * 1000))


def file(size: str, name: str, density: Any = 1, scheme: Any = "", kb: float = 10, *variants: Media) -> File:
    width, height = map(int, size.split("x"))
    return File(media(name, kb), width * density, height * density, density, scheme, variants)


def slot(*sizes: str, name: str = "top", max_kb: int = 150) -> Slot:
    return Slot(id=f"news/{name}", serial=1, version=1, site="news", name=name, sizes=sizes, max_kb=max_kb)


def content(*files: File, **fields: Any) -> Content:
    main = files[0].size if files else None
    own = {"width": main.width, "height": main.height, "media": files[0].media} if main is not None else {}
    return Content(revision=1, serial=1, click_url="https://a.example/", files=files, **{**own, **fields})


WIDE, DENSE = file("728x90", "a"), file("728x90", "b", 2)
DARK, NARROW = file("728x90", "c", 1, "dark"), file("320x50", "d")


def sizes(kind: str, one: Content, where: Slot) -> list[tuple[int, int]]:
    return [(form.width, form.height) for form in forms_of(kind, one, where)]


def test_a_slot_gets_the_sizes_that_it_takes() -> None:
    """The widest first; files of others are not in it."""
    all_of_them = content(WIDE, DENSE, DARK, NARROW)
    assert sizes("image", all_of_them, slot("728x90", "320x50")) == [(728, 90), (320, 50)]
    assert sizes("image", all_of_them, slot("300x250", "320x50")) == [(320, 50)]
    assert sizes("image", all_of_them, slot("300x250")) == []
    wide, narrow = forms_of("image", all_of_them, slot("728x90", "320x50"))
    assert wide.files == (WIDE, DENSE, DARK, NARROW)
    assert (narrow.files, narrow.media) == ((NARROW,), NARROW.media)


def test_each_alternative_is_weighed_by_itself() -> None:
    """What one reader's browser loads counts, not the sum; one that is too heavy keeps its size out."""
    heavy = content(file("728x90", "a", kb=90), file("728x90", "b", 2, kb=90), NARROW)
    both = ("728x90", "320x50")
    assert sizes("image", heavy, slot(*both, max_kb=90)) == [(728, 90), (320, 50)]
    assert sizes("image", heavy, slot(*both, max_kb=89)) == [(320, 50)]


def test_a_content_from_before_there_were_files_fits_as_it_did() -> None:
    """It has a size and its one file."""
    old = content(media=media("a", 90), width=300, height=250)
    assert forms_of("image", old, slot("300x250")) == (old,)
    assert forms_of("image", old, slot("300x250", max_kb=89)) == ()
    assert [(one.media.file, one.width, one.density) for one in old.pictures] == [(media("a").file, 300, 1)]


@pytest.mark.parametrize(
    ("kind", "width", "shown"),
    [("image", 2000, 728), ("image", 728, 728), ("image", 727, 320), ("text", 727, 320), ("text", 100, 320)],
)
def test_the_widest_form_that_fits_is_chosen(kind: Any, width: int, shown: int) -> None:
    """A text fits any width, in the narrowest of its forms at last."""
    one = content(WIDE, NARROW) if kind == "image" else content(title="Tea")
    creative = Creative(id="c", serial=1, version=1, campaign="c", name="C", kind=kind, content=one)
    where = slot("728x90", "320x50")
    entry = entry_of(creative, forms_of(kind, one, where), where, compile_snippet)
    assert entry.serves(0, width)
    assert entry.serves(0, 319) is (kind == "text")
    assert entry.within(width).width == shown
    assert f"max-width:{shown}px" in "".join(entry.within(width).snippet.parts)


def test_sources_are_in_the_order_in_which_they_are_tried() -> None:
    """Narrow before wide, dark before any, newer types first, and of each density the smallest file of a type."""
    webp, avif = media("e", 6, "webp"), media("f", 4, "avif")
    main = file("728x90", "a", 1, "", 10, webp, avif)
    found = sources_of(content(main, DENSE, DARK, NARROW))
    assert [(one.media, one.type) for one in found] == [
        ("(max-width:727px)", ""),
        ("(prefers-color-scheme:dark)", ""),
        ("", "image/avif"),
        ("", "image/webp"),
        ("", ""),
    ]
    assert found[2].files == ((avif.file, 1), (DENSE.media.file, 2))
    assert found[4].files == ((main.media.file, 1), (DENSE.media.file, 2))
    assert [(one.width, one.height) for one in found][:2] == [(320, 50), (728, 90)]


@pytest.mark.parametrize(
    ("kind", "one", "words"),
    [
        ("image", content(file("1200x90", "a")),
         [("file", "1200x90 does not fit top, header; nearest slot: header 728x90")]),
        ("image", content(file("300x250", "a", kb=170.4)),
         [("file", "the picture weighs 170.4 kB; top takes at most 100 kB")]),
        ("image", content(file("300x250", "a"), file("300x250", "b", 2, kb=101), file("10x10", "c")),
         [("sizes/0", "10x10 does not fit top, header; nearest slot: top 300x250"),
          ("file_2x", "the picture weighs 101.0 kB; top takes at most 100 kB")]),
        ("html", content(width=9, height=9, html="x"),
         [("width", "9x9 does not fit top, header; nearest slot: top 300x250")]),
        ("html", content(width=300, height=250, html="x" * 100_001),
         [("html", "the markup weighs 100.0 kB; top takes at most 100 kB")]),
        ("text", content(file("401x20", "a", kb=151), width=0, height=0, title="T"),
         [("file", "is 401x20; the picture of a text has at most 400 pixels a side"),
          ("file", "the picture weighs 151.0 kB; top, header takes at most 150 kB")]),
        ("text", content(title="T"), []),
        ("passback", content(), []),
    ],
)  # fmt: skip
def test_what_fits_no_slot_is_told_with_both_figures(kind: str, one: Content, words: list[tuple[str, str]]) -> None:
    """All of it at once, each at the part of the form that brought it, and the nearest slot where there is one."""
    booked = [slot("300x250", max_kb=100), slot("728x90", name="header")]
    assert problems_of(kind, one, booked) == words


def test_without_slots_that_is_what_is_said() -> None:
    """A campaign that books no slot with sizes takes no picture."""
    assert problems_of("image", content(WIDE), []) == [
        ("file", "the campaign books no slot that takes pictures: set its slots first")
    ]


SIZES = ["728x90", "320x50", "300x250", "300x600", "160x600", "970x250", "468x60", "0x0", "88x31", "120x60", "120x90"]


@pytest.mark.parametrize("size", SIZES)
def test_a_text_is_never_laid_out_higher_than_its_room(size: str) -> None:
    """Whatever parts it has, the lines, picture and button that are shown have room, and the title has a line."""
    width, height = map(int, size.split("x"))
    for body, button, picture in itertools.product((True, False), repeat=3):
        at = layout_of(width, height, body=body, button=button, picture=picture)
        assert at.title_lines >= 1
        assert used(at) <= at.height, at


def used(at: Layout) -> int:
    """The height that the parts take together."""
    words = at.title_lines * at.title[1] + at.body_lines * at.body[1]
    frame = 2 + 2 * at.padding
    if at.row:
        return frame + max(words, at.picture, BUTTON_PX if at.button else 0)
    below = (at.picture + at.gap if at.picture else 0) + (BUTTON_PX + at.gap if at.button else 0)
    return frame + words + below
