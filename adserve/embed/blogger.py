"""Where a slot stands in a Blogger theme, and what its tags say there.

DESIGN. An expression has no loop, and Blogger publishes no list of its operators, so the labels of a post are put
together of what themes have long used: an index, the size, a choice, a sum. Not chosen: `map` with `join`, which is
shorter, but of the second there is no description.
"""

from __future__ import annotations

PLACES = ("header", "top", "below-post", "sidebar", "footer")
"""What a theme has; a slot of another name is put where its owner likes."""
MOST_LABELS = 20
"""That Blogger takes of a post."""


def labels_expression(post: str = "data:post") -> str:
    """The names of a post's labels with commas between, as an expression that is not yet escaped. A label cannot hold
    a comma: Blogger parts labels by them."""
    labels = f"{post}.labels"
    rest = (f' + ({labels}.size > {at} ? "," + {labels}[{at}].name : "")' for at in range(1, MOST_LABELS))
    return f'{labels} ? {labels}[0].name{"".join(rest)} : ""'


CONDITIONS = {"top": "data:view.isPost", "below-post": "data:view.isPost or data:view.isMultipleItems"}
"""Where in a theme the slots of a post stand: above its words on its own page alone, below it on lists of posts too."""

WHERE = {
    "header": "in the body, where the page begins, or around the header's section",
    "top": "in the widget of type Blog, includable `post` (or `postBody`), before <data:post.body/>",
    "below-post": "in the widget of type Blog, includable `post` (or `postBody`), after <data:post.body/>",
    "sidebar": "beside the sections of the sidebar",
    "footer": "in the body, where the page ends",
}
