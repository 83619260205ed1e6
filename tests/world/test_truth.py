"""Drawing: paired worlds, company, readings, Shapley, and what an analyst may not see."""

from __future__ import annotations

import itertools

import jax
import numpy as np
import pytest
import worlds

from simbench import briefs
from simbench.errors import BadInput
from simbench.world.history import coalitions
from simbench.world.scenario import read_scenario
from simbench.world.truth import draw


def equal(one, other) -> bool:
    return all(
        np.array_equal(x, y, equal_nan=True) for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("worlds")


@pytest.fixture(scope="module")
def plain(folder):
    return draw(worlds.written(folder, worlds.plain()), 3)


@pytest.fixture(scope="module")
def bought(folder):
    return draw(worlds.written(folder, worlds.bought(name="bought-world")), 2)


def test_company_does_not_matter(plain):
    alone = draw(plain.scenario, [2])
    assert equal(alone.briefs[0], plain.briefs[2])
    assert equal(alone.truths[0], plain.truths[2])


def test_company_does_not_matter_where_plans_meet_futures(bought):
    alone = draw(bought.scenario, [1])
    assert equal(alone.briefs[0], bought.briefs[1])
    assert equal(alone.truths[0], bought.truths[1])


def test_drawing_twice_is_drawing_once(plain):
    again = draw(plain.scenario, 3)
    assert equal(again.brief, plain.brief) and equal(again.truth, plain.truth)
    other = draw(plain.scenario, 1, master=b"another master key of 32 bytes..", truth=False)
    assert not np.allclose(other.brief.panel.kpi[0], plain.brief.panel.kpi[0])


def test_breaking_one_assumption_is_a_paired_change(folder):
    """What a scenario does not touch stays as it is in its family: other spend, noise, parameters."""
    worlds.written(folder, worlds.plain(name="root"))
    child = """schema_version = 1
name = "child"
base = "root"
breaks = "{breaks}"
source = "test"
who_should_win = "nobody"
[[channels]]
name = "video"
spend = {{ rule = "flighted", weekly = 90.0, cv = 0.2, on = 3, off = 3 }}
[[channels]]
name = "extra"
kind = "other"
spend = {{ rule = "always-on", weekly = 10.0, cv = 0.2 }}
carry_over = {{ kind = "none" }}
saturation = {{ kind = "none" }}
roas = 1.0
[[questions.problems]]
name = "fixed"
"""
    root = draw(folder / "root.toml", 2)
    changed = draw(worlds.written(folder, child.format(breaks="spend-variation")), 2)
    assert np.array_equal(changed.brief.panel.spend[..., 0], root.brief.panel.spend[..., 0])
    assert not np.allclose(changed.brief.panel.spend[..., 1], root.brief.panel.spend[..., 1])
    np.testing.assert_allclose(changed.secret.path.base, root.secret.path.base, rtol=1e-14)
    assert np.array_equal(changed.secret.start["kpi"]["eta"], root.secret.start["kpi"]["eta"])
    np.testing.assert_allclose(
        changed.truth.answers.contribution[..., 0], root.truth.answers.contribution[..., 0], rtol=1e-12
    )
    relabelled = draw(worlds.written(folder, child.format(breaks="compound").replace('"child"', '"child-two"')), 2)
    assert equal(relabelled.brief, changed.brief) and equal(relabelled.truth, changed.truth)


@pytest.mark.parametrize(
    ("text", "responds", "freezes"),
    [(worlds.plain(), False, False), (worlds.bought(), False, True), (worlds.chasing(), True, False)],
    ids=["plain", "bought", "chasing"],
)
def test_readings_differ_where_they_should(text, responds, freezes, tmp_path):
    truth = draw(worlds.written(tmp_path, text), 2).truth
    for name, reading, differs in (
        ("responding", truth.responding, responds),
        ("path_held", truth.path_held, freezes),
    ):
        for field in ("contribution", "marginal"):
            # the flighted channel, whole panel
            apart = np.abs(getattr(reading, field) / getattr(truth.answers, field) - 1)[:, 0, 0]
            assert (apart > 1e-4).all() if differs else (apart < 1e-12).all(), (name, field)


def test_halo_zero_makes_search_exogenous(folder):
    drawn = draw(worlds.written(folder, worlds.bought(halo=0.0, name="no-halo")), 1)
    np.testing.assert_allclose(drawn.truth.path_held.contribution, drawn.truth.answers.contribution, rtol=1e-12)


def test_shapley_values_by_all_orders():
    """The weights against the definition: the mean gain of joining over every order of channels."""
    subsets, weights = coalitions(4)
    worth = np.random.default_rng(0).random(16)
    position = {tuple(s): i for i, s in enumerate(subsets)}
    gains = np.zeros(4)
    for order in itertools.permutations(range(4)):
        team = [0] * 4
        for c in order:
            before = worth[position[tuple(team)]]
            team[c] = 1
            gains[c] += worth[position[tuple(team)]] - before
    np.testing.assert_allclose(weights @ worth, gains / 24, rtol=1e-12)


def test_shapley_adds_up_to_all_off_and_leave_one_out_does_not(bought, plain):
    np.testing.assert_allclose(bought.truth.shapley.sum(axis=-1), bought.truth.all_off, rtol=1e-10)
    assert (np.abs(bought.truth.answers.contribution.sum(axis=-1) / bought.truth.all_off - 1) > 1e-4).all()
    np.testing.assert_allclose(plain.truth.answers.contribution.sum(axis=-1), plain.truth.all_off, rtol=1e-10)


def test_the_mean_is_the_kpi_without_noise(plain):
    path = plain.secret.path
    np.testing.assert_allclose(path.mean, path.base + path.contribution.sum(axis=-1), rtol=1e-12)
    noise = path.kpi - path.mean
    share = noise.std() / path.mean.mean()
    assert 0.03 < share < 0.07  # noise share 5%
    form = plain.secret.form
    holdout = slice(form.pre + form.weeks, None)
    np.testing.assert_allclose(plain.truth.answers.forecast, path.mean[:, holdout], rtol=1e-12)
    np.testing.assert_allclose(plain.truth.kpi_future, path.kpi[:, holdout], rtol=1e-15)


def test_returns_on_the_panel_are_those_of_the_file(folder):
    """Planned = factual up to T, so the realised ROAS is the file's where nothing chases or buys."""
    text = worlds.plain(name="fixed-returns").replace(
        'roas = { dist = "lognormal", median = 1.5, sigma = 0.4 }', "roas = 1.7"
    )
    drawn = draw(worlds.written(folder, text), 2)
    roas = drawn.brief.context.unit_value[:, None] * drawn.truth.answers.contribution[:, 0] / drawn.truth.paid[:, 0]
    np.testing.assert_allclose(roas, 1.7, rtol=1e-12)


def test_joint_returns_of_a_world_that_buys(folder):
    text = worlds.bought(name="joint-returns").replace(
        'roas = { dist = "lognormal", median = 1.5, sigma = 0.4 }', "roas = 1.7"
    )
    drawn = draw(worlds.written(folder, text), 2)
    roas = drawn.brief.context.unit_value[:, None] * drawn.truth.answers.contribution[:, 0] / drawn.truth.paid[:, 0]
    np.testing.assert_allclose(roas, 1.7, rtol=1e-10)


def test_a_brief_shows_nothing_after_the_origin_but_what_is_asked(plain):
    brief, labels = plain.briefs[0], plain.labels
    assert brief.panel.kpi.shape[0] == int(brief.panel.origin) == 60
    names = " ".join(map(str, jax.tree.leaves(labels._asdict())))
    assert plain.scenario.name not in names
    frame = briefs.frame(brief, labels)
    assert list(frame.columns[:3]) == ["date", "geo", "kpi"] and len(frame) == 60
    assert frame["spend_tv"].sum() == pytest.approx(brief.panel.spend[..., 0].sum())


def test_context_scales_come_from_the_training_window_only(plain):
    panel, context = plain.brief.panel, plain.brief.context
    np.testing.assert_allclose(context.kpi_scale, panel.kpi.sum(axis=-1).mean(axis=1))
    np.testing.assert_allclose(context.spend_scale, panel.spend.sum(axis=2).mean(axis=1))


@pytest.mark.parametrize(
    ("source", "replicates", "words"),
    [
        ("collinear", 1, "is a sweep"),
        ("clean", 0, "replicates"),
        ("clean", [], "replicates"),
        ("clean", [-1], "replicates"),
        ("claen", 1, "clean"),
    ],
)  # fmt: skip
def test_bad_requests_get_one_clear_line(source, replicates, words):
    with pytest.raises(BadInput, match=words) as caught:
        draw(source, replicates, truth=False)
    assert "\n" not in str(caught.value)


def test_numbers_that_overflow_are_refused_with_the_replicate(folder):
    text = (
        worlds.plain(name="too-much")
        .replace("per_year = 0.05", "per_year = 0.05")
        .replace("share = 0.05", "share = 1e15")
    )
    text = text.replace("value = 2.0", "value = 1e-300")
    with pytest.raises(BadInput, match=r"replicate 0 draws a KPI that is not finite|share|value"):
        draw(worlds.written(folder, text), 1, truth=False)


def test_truth_was_not_asked_for(plain):
    drawn = draw(read_scenario("clean"), 1, truth=False)
    with pytest.raises(BadInput, match="without truth"):
        _ = drawn.truths
