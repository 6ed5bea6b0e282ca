"""Why creatives are rejected, as a reviewer may choose from a list. What is stored is the reason in words: a list
in the console fills it in, and whoever reviews may write another. The codes are public and stable."""

from __future__ import annotations

from collections.abc import Mapping

REJECTIONS: Mapping[str, str] = {
    "unreadable": "The text is too small or too faint to read at the size it is shown.",
    "poor_quality": "The picture is blurred, cut off or distorted: export it at the size of the slot.",
    "misleading": "It promises or claims what the landing page does not hold.",
    "imitates_site": "It looks like a part of the page, a message of the device or a button of the site.",
    "unmarked_advertiser": "It does not say who advertises.",
    "landing_broken": "The landing page does not open, or not without an error.",
    "landing_differs": "The landing page shows something else than the creative.",
    "landing_suspicious": "The address of the landing page imitates another one, or leads on to another host.",
    "alt_text": "The alternative text does not say what the picture shows.",
    "language": "The language or spelling does not fit the site.",
    "distracting": "It flashes, moves too fast or plays too long.",
    "rights": "It uses names, pictures or marks of others without a sign that they agreed.",
    "not_accepted": "The site does not accept this kind of offer.",
    "legal": "What it offers may not be advertised here, or lacks a notice that the law asks for.",
}
"""Code to the words that the advertiser reads."""
