"""Whose class contains which world: two lists of words, and nothing typed."""

from __future__ import annotations

import pytest

from simbench.score.representable import representable


@pytest.mark.parametrize(
    ("breaks", "handles", "said"),
    [
        ("", {"effect-shape"}, True),
        ("", (), True),  # a control is in everyone's class
        ("effect-shape", {"effect-shape", "additive"}, True),
        ("effect-shape", {"additive"}, False),
        ("effect-shape", (), None),  # without handles nobody says
        ("compound", {"effect-shape", "additive"}, False),  # several at once: whatever they are
        ("compound", {"compound"}, True),
        ("effect", {"effect-shape"}, False),  # whole words
        (None, {"effect-shape"}, None),  # an old run does not remember
        (None, (), None),
    ],
)
def test_it_follows_from_two_lists_of_words(breaks, handles, said):
    assert representable(breaks, handles) is said
