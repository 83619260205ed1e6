"""Series that no analyst would wish for: an answer or a reason in words, and never a wrong answer called right."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import numpy as np
import pytest
import worlds

from simbench.backends.bayes.fit import LOST
from simbench.backends.registry import backend_named
from simbench.records import Failure
from simbench.world.truth import draw

HMC = "[warmup=60,samples=150,rounds=1,ess=50]"
NAMES = {
    "national-hmc": HMC, "national-laplace": "[pool=400]", "pymc-marketing-style-hmc": HMC, "robust-hmc": HMC,
    "meridian-style-hmc": HMC, "geo-hierarchical-hmc": HMC,
}  # fmt: skip
PRICE = '[[controls]]\nname = "price"\nmean = 10.0\nsd = 0.5\nrho = 0.8\neffect = -60.0\n'
WEEKS = 52


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    """Everyone in turn: module scope keeps the tests of one together, whose answers they share."""
    return request.param


def of_odd_shape(name):
    """The same model, but for one by the engine that compiles in a fifth of the time: shapes are nothing to engines."""
    if name == "national-hmc" or not name.endswith("-hmc"):
        return name + NAMES[name]
    return name.removesuffix("-hmc") + "-laplace" + NAMES["national-laplace"]


@cache
def brief_of(geos, weeks=WEEKS):
    """Three channels and a control."""
    channels = worlds.channel("tv", worlds.FLIGHTED), worlds.channel("video"), worlds.channel("radio", money=40.0)
    with TemporaryDirectory() as folder:
        text = worlds.scenario(*channels, weeks=weeks, geos=geos, extra=PRICE)
        brief = draw(worlds.written(Path(folder), text), 1, truth=False).briefs[0]
    questions = brief.questions
    return brief._replace(questions=questions._replace(sizes=replace(questions.sizes, draws=64)))


def spent(brief, change):
    """The brief with spend [T, G, C] that `change` has written over."""
    spend = brief.panel.spend.copy()
    change(spend)
    return brief._replace(panel=brief.panel._replace(spend=spend, lever=spend.copy()))


def sold(brief, kpi):
    return brief._replace(panel=brief.panel._replace(kpi=kpi * np.ones_like(brief.panel.kpi)))


def without_last_weeks(brief):
    """No number after the origin."""
    panel, origin = brief.panel, WEEKS - 7

    def seen_only(x):
        return np.concatenate([x[:origin], np.full_like(x[origin:], np.nan)])

    own = {name: seen_only(getattr(panel, name)) for name in ("kpi", "lever", "spend", "controls")}
    mask = (np.arange(WEEKS) < origin) * 1.0
    return brief._replace(panel=panel._replace(origin=np.int32(origin), mask=mask, **own))


def constant(spend):
    spend[..., 1] = spend[..., 1].mean()


def idle(spend):
    spend[..., 1] = 0.0


def all_idle(spend):
    spend[:] = 0.0


def once(spend):
    spend[np.arange(WEEKS) != 7, :, 1] = 0.0


def twins(spend):
    spend[..., 1] = spend[..., 0]


def giant_and_dwarf(spend):
    spend[..., 0] *= 1e9 / spend[..., 0].max()
    spend[..., 1] *= 1e-2 / spend[..., 1].max()


def cases(brief):
    """Briefs of one shape, by what is odd about them."""
    week, kpi, panel = np.arange(WEEKS)[:, None], brief.panel.kpi, brief.panel

    def holed(x):
        return np.where(np.arange(WEEKS).reshape(-1, *(1,) * (x.ndim - 1)) == 5, np.nan, x)

    return {
        "nothing": brief,
        **{f.__name__: spent(brief, f) for f in (constant, idle, all_idle, once, twins, giant_and_dwarf)},
        "exact line": sold(brief, 1000.0 + 3.0 * week),
        "exact control": sold(brief, 1000.0 - 20.0 * panel.controls[..., 0]),
        "exact media": sold(brief, 1000.0 + panel.spend @ np.array([0.5, 1.0, 2.0])),
        "constant KPI": sold(brief, 1000.0),
        "no KPI": sold(brief, 0.0),
        "negative KPI": sold(brief, -kpi),
        "one week a million": sold(brief, np.where(week == 5, 1e6 * kpi, kpi)),
        "last weeks unknown": without_last_weeks(brief),
        "hole in the KPI": sold(brief, holed(kpi)),
        "hole in spend": brief._replace(panel=panel._replace(spend=holed(panel.spend), lever=holed(panel.lever))),
        "hole in a control": brief._replace(panel=panel._replace(controls=holed(panel.controls))),
    }


@cache
def replies(name):
    """All cases in one call, so that each is in the company of the others."""
    odd = cases(brief_of(3 if name.startswith("geo") else 1))
    keys = [np.array([1, 2], dtype=np.uint32)] * len(odd)
    return odd, dict(zip(odd, backend_named(name + NAMES[name]).answer(list(odd.values()), keys), strict=True))


def finite(reply, brief):
    """Whether all is finite that need not be undefined: the curve of a channel never used is."""
    used = brief.panel.spend.sum(axis=(0, 1)) > 0
    told = (reply.contribution, reply.baseline, reply.forecast, reply.plan_value, reply.curve[:, used])
    return all(np.isfinite(x).all() for x in told)


def test_a_week_without_a_number_is_a_failure_that_says_so(name):
    _, told = replies(name)
    for case in ("hole in the KPI", "hole in spend", "hole in a control"):
        assert told[case] == Failure("nonfinite", LOST), case


def test_all_else_is_answered_in_finite_numbers(name):
    odd, told = replies(name)
    answered = {case: reply for case, reply in told.items() if not case.startswith("hole")}
    assert len(answered) == 15
    lost = {case for case, reply in answered.items() if isinstance(reply, Failure) or not finite(reply, odd[case])}
    assert lost == set()


def test_bad_company_does_no_harm(name):
    """An ordinary world alone is answered as among all of these, to the last bit."""
    odd, told = replies(name)
    (alone,) = backend_named(name + NAMES[name]).answer([odd["nothing"]], [np.array([1, 2], dtype=np.uint32)])
    jax.tree.map(np.testing.assert_array_equal, alone, told["nothing"])


def test_what_was_never_spent_brought_nothing(name):
    _, told = replies(name)
    assert not told["idle"].contribution[..., 1].any() and told["idle"].contribution[..., 0].all()
    assert not told["all_idle"].contribution.any()


def test_twins_share_what_they_bring(name):
    """Nothing tells two channels of the same spend apart but their equal priors: their means agree."""
    _, told = replies(name)
    brought = told["twins"].contribution[:, 0]
    error = (brought[:, 0] - brought[:, 1]).std() / np.sqrt(min(len(brought), told["twins"].diagnostics.ess_min))
    assert abs(brought[:, 0].mean() - brought[:, 1].mean()) < 4 * error


@pytest.mark.parametrize("case", ["exact line", "exact control", "constant KPI", "no KPI"])
def test_where_there_is_no_noise_it_is_right_or_says_that_it_is_not(name, case):
    """Errors vanish and no engine likes that: either it found them as small as they are, or it has not converged.

    To a model without a trend the rise of a line is error, and may be as wide as the line.
    """
    odd, told = replies(name)
    reply, kpi = told[case], odd[case].panel.kpi
    trendless = name.startswith("pymc") and case == "exact line"
    most = 1.5 * kpi.std() if trendless else 1e-3 * (abs(kpi).mean() or 1.0)
    assert reply.diagnostics.converged == 0.0 or reply.forecast.std(axis=0).max() < most


def test_a_giant_week_is_noise_of_its_size_or_ignored_or_too_much(name):
    """Normal errors must be as wide as the KPI then is; heavy tails may leave the week out; or it has not converged."""
    odd, told = replies(name)
    reply, kpi = told["one week a million"], odd["one week a million"].panel.kpi
    spread = reply.forecast.std(axis=0)
    ignored = name.startswith("robust") and spread.max() < 1e-2 * kpi.std()
    assert reply.diagnostics.converged == 0.0 or spread.min() > 0.5 * kpi.std() or ignored


def test_panels_of_a_quarter(name):
    """Twelve weeks."""
    short = brief_of(3 if name.startswith("geo") else 1, 12)
    (reply,) = backend_named(of_odd_shape(name)).answer([short], [np.array([1, 2], dtype=np.uint32)])
    assert finite(reply, short)


def test_more_controls_than_weeks(name):
    """Sixty of pure noise in a year: coefficients are what the prior allows, the forecast is no wider than the KPI."""
    brief, rng = brief_of(3 if name.startswith("geo") else 1), np.random.default_rng(1)
    panel, future = brief.panel, brief.questions.future

    def noise(x):
        return rng.standard_normal((*x.shape[:-1], 60))

    many = brief._replace(
        panel=panel._replace(controls=noise(panel.controls)),
        questions=brief.questions._replace(future=future._replace(controls=noise(future.controls))),
    )
    (reply,) = backend_named(of_odd_shape(name)).answer([many], [np.array([1, 2], dtype=np.uint32)])
    assert finite(reply, many)
