"""From answers to amounts."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import worlds

from simbench.blocks import take
from simbench.decide.allocate import Told, common, decide, own, promised
from simbench.records import Answers
from simbench.world.truth import book_in, draw
from simbench.world.worth import values


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw(worlds.written(tmp_path_factory.mktemp("d"), worlds.plain()), 2)


@pytest.fixture(scope="module")
def known(drawn):
    """The truth's own curves as an answer of one draw."""
    return Answers(response=tuple(np.asarray(response)[:, None] for response in drawn.truth.answers.response))


def test_the_truths_own_curves_lead_to_the_optimum(drawn, known):
    for i, best in enumerate(drawn.truth.optima):
        amounts = common(drawn.brief, known, i)
        for mine, theirs in zip(amounts, best.amounts, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=0.05 * theirs.sum())


def test_kpi_and_money_are_netted_after_interpolation(drawn, known):
    """A channel whose money is never spent costs nothing: all of a free budget goes there."""
    free = drawn.labels.problems.index("free")
    levels = drawn.brief.questions.problems[free].levels
    paid = levels.copy()
    paid[:, 1] = 0.0
    answers = Answers(response=(known.response[free],) * 2, response_paid=(paid[:, None],) * 2)
    amounts = common(drawn.brief, answers, free)
    np.testing.assert_allclose(amounts[:, 1], levels[:, 1, -1], rtol=1e-6)


def test_the_mean_of_draws_decides(drawn, known):
    """Two draws decide as one that is their mean, however far they are apart."""
    response = known.response[0]
    apart = Answers(response=(np.concatenate([0.2 * response, 1.8 * response], axis=1), *known.response[1:]))
    np.testing.assert_allclose(common(drawn.brief, apart, 0), common(drawn.brief, known, 0), rtol=1e-6)


def test_own_allocation_is_projected_and_said_to_be(drawn):
    problems = drawn.brief.questions.problems
    asked = Answers(allocation=tuple(np.tile([1e9, -5.0], (2, 1)) for _ in problems))
    amounts, moved = own(drawn.brief, asked, 0)
    np.testing.assert_allclose(amounts.sum(axis=-1), problems[0].status_quo.sum(axis=-1))
    assert (amounts >= problems[0].lower - 1e-9).all() and (amounts <= problems[0].upper + 1e-9).all()
    assert (moved == 1).all()
    kept, moved = own(drawn.brief, Answers(allocation=tuple(p.status_quo for p in problems)), 0)
    np.testing.assert_allclose(kept, problems[0].status_quo)
    assert (moved == 0).all()


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_amounts_in_another_unit_are_warned_about(drawn, factor):
    """Made feasible they look like a choice: equal money where the total is fixed, next to none where it is free."""
    free = drawn.labels.problems.index("free")
    now = drawn.brief.questions.problems[free].status_quo
    asked = Answers(allocation=tuple(p.status_quo * [[1.0], [factor]] for p in drawn.brief.questions.problems))
    spent = now[1].sum()
    words = f"come to {factor * spent:g} where the status quo spends {spent:g}: expected is money in the unit of"
    with pytest.warns(UserWarning, match=re.escape(f"allocation on world 1: amounts of problem {free} {words}")):
        own(drawn.brief, asked, free)
    told = Told("vendor", ("one/0", "one/1"), drawn.labels.problems)
    with pytest.warns(UserWarning, match=re.escape(f"vendor on one/1: amounts of problem free {words}")) as caught:
        decide(drawn.brief, asked, lambda i, amounts: (np.zeros(amounts.shape[:2]),) * 2, told)
    assert len(caught) == len(drawn.labels.problems)


def test_wishes_that_only_are_small_are_not(drawn):
    """Nothing at all, a hundredth, and a problem left to the allocator."""
    problems = drawn.brief.questions.problems
    for share in ([[0.0], [0.01]], [[1.0], [np.nan]]):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            own(drawn.brief, Answers(allocation=tuple(p.status_quo * share for p in problems)), 0)


def test_a_problem_may_be_left_to_the_common_allocator(drawn, known):
    """NaN throughout: in the first problem by one of two worlds, in the others by both."""
    problems = drawn.brief.questions.problems
    half = problems[0].status_quo * np.array([[1.0], [np.nan]])
    left = tuple(half if i == 0 else np.full_like(p.status_quo, np.nan) for i, p in enumerate(problems))
    promise = tuple(np.where(np.isnan(each[:, :1]), np.nan, 7.0) for each in left)

    def value(i, amounts):
        assert np.isfinite(amounts).all()
        return amounts.sum(axis=-1), amounts.sum(axis=-1)

    told = decide(drawn.brief, known._replace(allocation=left, promise=promise), value)
    plain = decide(drawn.brief, known, value)
    np.testing.assert_allclose(told.own[0].amounts, half)
    assert (told.own[0].promise[0], told.own[0].projected[0]) == (7.0, 0.0)
    for part in told.own[0]:
        assert np.isnan(part[1]).all()
    for i in range(len(problems)):
        assert all(np.isnan(part).all() for part in told.own[i]) or i == 0
        for mine, theirs in zip(told.common[i], plain.common[i], strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_a_promise_is_read_off_the_answered_curves(drawn, known):
    """On the truth's own curves the promise for the optimum is what the optimum is worth."""
    for i, best in enumerate(drawn.truth.optima):
        promise = promised(drawn.brief, known, i, best.amounts)
        spend = drawn.brief.questions.problems[i].status_quo.sum(axis=-1)
        np.testing.assert_allclose(promise, best.value, atol=2e-3 * spend.max())
    still = promised(drawn.brief, known, 0, drawn.brief.questions.problems[0].status_quo)
    np.testing.assert_allclose(still, 0.0, atol=1e-9)


def test_decisions_are_valued_in_the_worlds(drawn, known):
    book = book_in(drawn.secret, drawn.brief)
    problems = drawn.brief.questions.problems
    told = decide(
        drawn.brief,
        known._replace(allocation=tuple(best.amounts for best in drawn.truth.optima)),
        lambda i, amounts: values(book, problems[i], amounts),
    )
    for i, best in enumerate(drawn.truth.optima):
        spend = problems[i].status_quo.sum(axis=-1)
        np.testing.assert_allclose(told.own[i].value, best.value, atol=1e-9 * spend.max())
        lost = (best.value - told.common[i].value) / spend
        allowed = (best.upper_bound - best.value + best.grid_floor) / spend
        assert (lost >= -1e-9).all() and (lost <= allowed + 1e-6).all()
        assert (told.common[i].projected == 0).all() and np.isfinite(told.common[i].promise).all()


def test_who_answers_no_curves_decides_nothing(drawn):
    told = decide(drawn.brief, Answers(), lambda i, amounts: (np.zeros(amounts.shape[:2]),) * 2)
    for decision in (*told.own, *told.common, *told.plug_in, *told.risk_aware):
        assert all(np.isnan(part).all() for part in decision)
    assert all(np.isnan(each).all() for each in told.perfect)
    quantiles = Answers(response=tuple(np.zeros((2, 7, *p.levels.shape[1:])) for p in drawn.brief.questions.problems))
    assert common(drawn.brief, quantiles._replace(levels=np.arange(7.0)), 0) is None
    assert take(np.arange(4), [2, 0]).tolist() == [2, 0]
