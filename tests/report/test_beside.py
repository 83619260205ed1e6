"""What stands beside the headlines, on boards made by hand."""

from __future__ import annotations

import numpy as np

from simbench.report import beside
from simbench.score.headlines import Board, Headline, Standing
from simbench.score.statistics import NOTHING, Estimate


def standing(name, *numbers, silent=np.nan, width=0.5):
    def headline(value):
        return Headline(Estimate(value, value, value, 8), 1.0, 1.0, 1.0, 0, "" if value == value else "not answered")

    def share(value):
        return Estimate(value, value, value, 8)

    return Standing(
        name, *map(headline, numbers), share(0.9), share(width), share(silent), share(0.25), NOTHING, 8, 0
    )  # fmt: skip


def board(*standings):
    return Board("", standings, NOTHING, 0)


def test_who_is_beaten_in_everything_is_not_on_the_front():
    best = standing("best", 0.1, 0.5, 0.2, 1.0, 9.0)
    quick = standing("quick", 0.4, 0.6, 0.9, 2.0, 0.1)
    beaten = standing("beaten", 0.4, 0.7, 0.9, 2.0, 0.2)
    partial = standing("partial", np.nan, 0.4, np.nan, np.nan, 5.0)
    oracle = standing("oracle", 0.0, 0.0, 0.0, 0.0, 0.0)
    assert beside.front(board(best, quick, beaten, partial, oracle)) == ["best", "quick", "partial"]


def test_equals_stand_side_by_side():
    assert beside.front(board(standing("a", 1, 1, 1, 1, 1), standing("b", 1, 1, 1, 1, 1))) == ["a", "b"]


def test_rows_say_what_cannot_be_assessed():
    told = beside.rows(
        board(standing("a", 1, 1, 1, 1, 1, silent=0.125), standing("b", 1, 1, 1, 1, 1), standing("oracle", *[0] * 5))
    )
    assert told == [("a", "0.50", "12%", "25%", "-"), ("b", "0.50", "-", "25%", "-")]
