"""Where a slot stands in a Blogger theme.

DESIGN. The labels of a post go along as elements of their own, made by a loop. Not chosen: one attribute, because an
expression has no loop, and of the operators that would join a list Blogger publishes no description.
"""

from __future__ import annotations

PLACES = ("header", "top", "below-post", "sidebar", "footer")
"""What a theme has; a slot of another name is put where its owner likes."""

CONDITIONS = {"top": "data:view.isPost", "below-post": "data:view.isPost or data:view.isMultipleItems"}
"""Where in a theme the slots of a post stand: above its words on its own page alone, below it on lists of posts too."""

WHERE = {
    "header": "in the body, where the page begins, or around the header's section",
    "top": "in the widget of type Blog, includable `post` (or `postBody`), before <data:post.body/>",
    "below-post": "in the widget of type Blog, includable `post` (or `postBody`), after <data:post.body/>",
    "sidebar": "beside the sections of the sidebar",
    "footer": "in the body, where the page ends",
}
