"""From answers to amounts."""

from __future__ import annotations

import numpy as np
import pytest
import worlds

from simbench.decide.allocate import chosen, common_allocation
from simbench.records import Answers
from simbench.world.truth import draw


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw(worlds.written(tmp_path_factory.mktemp("d"), worlds.plain()), 2)


def test_the_truths_own_curves_lead_to_the_optimum(drawn):
    for brief, truth in zip(drawn.briefs, drawn.truths, strict=True):
        answers = Answers(response=tuple(response[None] for response in truth.answers.response))
        for i, best in enumerate(truth.optima):
            amounts = common_allocation(brief, answers, i)
            np.testing.assert_allclose(amounts, best.amounts, atol=0.05 * best.amounts.sum())


def test_kpi_and_money_are_netted_after_interpolation(drawn):
    """A channel whose money is never spent costs nothing: all of a free budget goes there."""
    brief, truth = drawn.briefs[0], drawn.truths[0]
    free = drawn.labels.problems.index("free")
    levels = brief.questions.problems[free].levels
    paid = levels.copy()
    paid[1] = 0.0
    answers = Answers(response=(truth.answers.response[free][None],) * 2, response_paid=(paid[None],) * 2)
    amounts = common_allocation(brief, answers, free)
    assert amounts[1] == pytest.approx(levels[1, -1], rel=1e-6)


def test_own_allocation_comes_first_and_is_projected(drawn):
    brief = drawn.briefs[0]
    problem = brief.questions.problems[0]
    own = Answers(allocation=tuple(np.array([1e9, -5.0]) for _ in brief.questions.problems))
    amounts = chosen(brief, own, 0)
    assert amounts.sum() == pytest.approx(problem.status_quo.sum())
    assert (amounts >= problem.lower - 1e-9).all() and (amounts <= problem.upper + 1e-9).all()


def test_who_answers_no_curves_decides_nothing(drawn):
    assert chosen(drawn.briefs[0], Answers(), 0) is None
