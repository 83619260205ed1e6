"""Laws of the truth (docs/design.md, end of section 4), on worlds that hypothesis picks."""

from __future__ import annotations

import numpy as np
import pytest
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from simbench import optimum
from simbench.world.truth import book_in, draw
from simbench.world.worth import constraints_of, value

REPLICATE = st.integers(0, 10**6)
FEW = settings(max_examples=12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("laws")


@FEW
@given(replicate=REPLICATE, power=st.sampled_from([-10, -3, 7, 20]))
def test_rescaling_money_rescales_truth_exactly(folder, replicate, power):
    factor = 2.0**power  # a power of two: no rounding of its own
    one = draw(worlds.written(folder, worlds.plain(name="money-one")), [replicate])
    other = draw(
        worlds.written(folder, worlds.plain(factor, value=2.0 * factor, name="money-other", base="money-one")),
        [replicate],
    )
    a, b = one.truth.answers, other.truth.answers
    for field, scale in (
        ("contribution", 1),
        ("curve", 1),
        ("baseline", 1),
        ("forecast", 1),
        ("impulse", 1),
        ("marginal", 1 / factor),
        ("plan_value", factor),
    ):
        np.testing.assert_allclose(
            getattr(b, field),
            scale * getattr(a, field),
            rtol=1e-9,
            atol=1e-12 * np.nanmax(np.abs(getattr(b, field))),
            err_msg=field,
        )
    for mine, theirs in zip(one.truth.optima, other.truth.optima, strict=True):
        np.testing.assert_allclose(theirs.value, factor * mine.value, rtol=1e-6)


@FEW
@given(replicate=REPLICATE)
def test_a_channel_that_is_off_contributes_nothing(folder, replicate):
    text = worlds.scenario(worlds.channel("tv", worlds.FLIGHTED), worlds.channel("idle", money=0.0), name="idle-world")
    truth = draw(worlds.written(folder, text), [replicate]).truth
    assert (truth.answers.contribution[..., 1] == 0).all() and (truth.paid[..., 1] == 0).all()
    assert np.isnan(truth.answers.marginal[..., 1]).all() and np.isnan(truth.answers.curve[:, 1]).all()
    assert (truth.answers.contribution[..., 0] > 0).all()


@FEW
@given(replicate=REPLICATE)
def test_permuting_channels_permutes_truth(folder, replicate):
    spends = [("tv", worlds.FLIGHTED), ("video", worlds.ALWAYS_ON), ("search", worlds.BOUGHT)]
    parts = [worlds.channel(channel, rule) for channel, rule in spends]
    reverse = folder / "reverse"
    reverse.mkdir(exist_ok=True)  # the same name in another folder: the same family, the same streams
    one = draw(worlds.written(folder, worlds.scenario(*parts, name="order")), [replicate])
    other = draw(worlds.written(reverse, worlds.scenario(*parts[::-1], name="order")), [replicate])
    for field in ("contribution", "marginal"):
        for reading in ("answers", "path_held", "responding"):
            mine, theirs = (getattr(getattr(drawn.truth, reading), field) for drawn in (one, other))
            np.testing.assert_allclose(theirs[..., ::-1], mine, rtol=1e-9)
    np.testing.assert_allclose(other.truth.shapley[..., ::-1], one.truth.shapley, rtol=1e-9)
    np.testing.assert_allclose(other.brief.panel.kpi, one.brief.panel.kpi, rtol=1e-12)
    np.testing.assert_allclose(other.truth.answers.curve[:, ::-1], one.truth.answers.curve, rtol=1e-9, atol=1e-9)


@FEW
@given(replicate=REPLICATE, cut=st.sampled_from([20, 41]))
def test_adjoining_windows_add_up_where_the_response_is_linear(folder, replicate, cut):
    extra = f"[questions]\nwindows = [[0, {cut}], [{cut}, 60]]\n" + '[[questions.problems]]\nname = "fixed"'
    channels = (worlds.channel(name, saturation='kind = "none"') for name in ("tv", "video"))
    truth = draw(
        worlds.written(folder, worlds.scenario(*channels, name=f"linear-{cut}", extra=extra)), [replicate]
    ).truth
    whole, first, second = truth.answers.contribution[0]
    np.testing.assert_allclose(first + second, whole, rtol=1e-11)  # kernels of 6 weeks, tails of 14: nothing is cut off
    assert (np.abs(truth.cut_off) <= 1e-9 * whole).all()


@FEW
@given(replicate=REPLICATE, seed=st.integers(0, 1000))
def test_no_plan_has_negative_regret_beyond_the_gap(folder, replicate, seed):
    drawn = draw(worlds.written(folder, worlds.plain(name="regret-world")), [replicate])
    book = book_in(drawn.secret, drawn.brief)
    for problem, best in zip(drawn.brief.questions.problems, drawn.truth.optima, strict=True):
        amounts = optimum.random_feasible(constraints_of(problem), 20, np.random.default_rng(seed))
        worth = np.array([value(book, problem, row[None])[0] for row in amounts])
        assert (worth <= best.upper_bound + 1e-9 * problem.status_quo.sum()).all()
        assert best.certified[0] == 1
        np.testing.assert_allclose(value(book, problem, best.amounts), best.value, rtol=1e-9)


@FEW
@given(replicate=REPLICATE)
def test_noise_is_no_part_of_truth(folder, replicate):
    loud = worlds.plain(name="loud").replace("share = 0.05", "share = 0.5")
    one = draw(worlds.written(folder, worlds.plain(name="quiet")), [replicate])
    other = draw(worlds.written(folder, loud.replace('name = "loud"', 'name = "loud"\nbase = "quiet"', 1)), [replicate])
    assert not np.allclose(one.brief.panel.kpi, other.brief.panel.kpi, rtol=0.01)
    for field in ("contribution", "marginal", "curve", "baseline", "forecast", "plan_value"):
        np.testing.assert_allclose(getattr(one.truth.answers, field), getattr(other.truth.answers, field), rtol=1e-13)
