"""Planted faults: each must make the test named beside it fail.

A copy of the package gets one change and the named test runs on the copy, in a process of its
own. The change must apply exactly once, so that a fault cannot rot into no fault at all.
"""

# ruff: noqa: E501  (lines of the package are quoted whole)
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Fault(NamedTuple):
    """One wrong line (or a few that belong together) and the test that must see it."""

    name: str
    caught_by: str
    changes: tuple[tuple[str, str, str], ...]  #: (file, what stands there, what is put there)


CLIMB = """amounts = np.stack([
        optimum.starts.climb(
            lambda a, i=i: (float((c := of(np.array([i]))(a[None, :, None])).value.sum()), c.slope[0, :, 0]),
            optimum.project(problem.upper[[i]] * (np.arange(problem.upper.shape[1]) == 0), optimum.take(constraints, [i]))[0],
            optimum.take(constraints, [i]), 1.0)
        for i in range(count)
    ])
"""
SAMPLED = """weights = np.zeros((channels, 2**channels))
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(channels), (200, 1)), axis=1)
    for order in orders:
        team = 0
        for c in order:
            weights[c, team | (1 << c)] += 1 / 200
            weights[c, team] -= 1 / 200
            team |= 1 << c
    return subsets, weights"""

FAULTS = (
    Fault(
        "money rises after an event in place of before", "tests/world/test_media.py::test_money_rises_in_the_week_of_an_event_and_in_the_one_before",
        (("world/spend.py", "now * jnp.append(now[1:], 1.0)", "now * jnp.append(1.0, now[:-1])"),),
    ),
    Fault(
        "tail forgotten", "tests/oracle/test_oracle_truth.py::test_truth_equals_oracle[{additive}]",
        (("estimands.py", "within(jnp.arange(reach), w[0], w[1] + sizes.tail)", "within(jnp.arange(reach), w[0], w[1])"),),
    ),
    Fault(
        "carry-in forgotten", "tests/world/test_panel.py::test_a_rollout_starts_anywhere[plain]",
        (("world/panel.py", 'past = jnp.concatenate([state["media"]["memory"], path.entering])', 'past = 0.0 * jnp.concatenate([state["media"]["memory"], path.entering])'),),
    ),
    Fault(
        "contacts of a plan at the prices of week 0", "tests/oracle/test_oracle_truth.py::test_truth_equals_oracle[{additive}]",
        (("estimands.py", "-3, -1), span), origin)", "-3, -1), span))"),),
    ),
    Fault(
        "contacts counted at the prices of the pre-history", "tests/world/test_media.py::test_contacts_that_are_seen",
        (("world/seen.py", "rate[:, : path.paid.shape[1], None]", "rate[:, :1, None]"),),
    ),
    Fault(
        "contacts of the holdout at the last price of the panel", "tests/backends/bayes/test_exposure.py::test_contacts_by_hand",
        (("backends/bayes/data.py", "money = laid_out(panel, panel.spend, future.spend, ahead)", "money = laid_out(panel, panel.spend, 0.0 * future.spend, ahead)"),),
    ),
    Fault(
        "a control that media do not move", "tests/world/test_shipped.py::test_the_oracle_draws_the_same_paths[site-visits]",
        (("world/panel.py", "brought = planned[0].sum(axis=(1, 2))", "brought = 0.0 * planned[0].sum(axis=(1, 2))"),),
    ),
    Fault(
        "an entrant a week late", "tests/world/test_demand.py::test_an_entrant_by_hand",
        (("world/demand.py", 'number["week"] + 1.0) / number["weeks"]', 'number["week"]) / number["weeks"]'),),
    ),
    Fault(
        "a competitor whose money brings demand", "tests/world/test_demand.py::test_a_competitors_spend_by_hand",
        (("world/demand.py", 'jnp.exp(-number["effect"] * moved)', 'jnp.exp(number["effect"] * moved)'),),
    ),
    Fault(
        "a competitor's money seen a week late", "tests/world/test_demand.py::test_a_competitors_money_is_seen_as_it_moves_demand",
        (("world/demand.py", 'number["weekly"] * jnp.exp(moved)', 'number["weekly"] * jnp.exp(jnp.roll(moved, 1))'),),
    ),
    Fault(
        "a walk's future known", "tests/world/test_media.py::test_a_walk_is_expected_to_stay_where_it_is",
        (("world/media.py", "    if not any(form.walks):\n        return media", "    if True:\n        return media"),),
    ),
    Fault(
        "channel order permuted", "tests/oracle/test_oracle_truth.py::test_truth_equals_oracle[{additive}]",
        (("problems.py", "    total = now.sum(axis=-1)\n", "    now = now[:, ::-1]\n    total = now.sum(axis=-1)\n"),),
    ),
    Fault(
        "stretches of weeks shifted by one", "tests/test_problems.py::test_stretches_of_weeks_by_hand",
        (("problems.py", "weeks[start : start + spec.pacing]", "(weeks[start : start + spec.pacing] + 1) % len(weeks)"),),
    ),
    Fault(
        "a threshold taken for concave", "tests/world/test_joint.py::test_hulls_are_concave_and_nowhere_below[0]",
        (("world/joint.py", "line = jnp.where(up, peak > low, peak < high) & (touch != start)", "line = touch != touch"),),
    ),
    Fault(
        "a model's own plan takes money for free", "tests/backends/test_jointly.py::test_two_draws_decide_as_a_search_that_shares_nothing[concave]",
        (("backends/jointly.py", "return slope - cost, bend", "return slope, bend"),),
    ),
    Fault(
        "a model's own plan heeds no row", "tests/backends/test_jointly.py::test_a_plan_keeps_every_limit",
        (("backends/jointly.py", "jnp.ones((1, units)), problem.groups])", "jnp.ones((1, units)), 0.0 * problem.groups])"),),
    ),
    Fault(
        "a promise against last year's flights", "tests/backends/test_jointly.py::test_two_draws_decide_as_a_search_that_shares_nothing[concave]",
        (("backends/jointly.py", "value[:, plans + 1 :: 2] - value[:, plans::2]", "value[:, plans + 1 :: 2]"),),
    ),
    Fault(
        "noise inside truth", "tests/world/test_truth.py::test_the_mean_is_the_kpi_without_noise",
        (("world/kpi.py", '{"mean": mean, "kpi": kpi}', '{"mean": kpi, "kpi": kpi}'),),
    ),
    Fault(
        "weeks without a count taken off the mean", "tests/world/test_kpi.py::test_counts_have_their_mean_and_variance[poisson-zero]",
        (("world/kpi.py", "jnp.maximum(mean, LEAST) / (1.0 - zero)", "jnp.maximum(mean, LEAST)"),),
    ),
    Fault(
        "a hidden competitor's moves foreseen", "tests/world/test_demand.py::test_an_action_that_has_begun_goes_on",
        (("world/forms.py", "if stream in unseen}", "if stream not in unseen}"),),
    ),
    Fault(
        "feedback rule on a pre-drawn path", "tests/world/test_truth.py::test_readings_differ_where_they_should[chasing]",
        (("world/history.py", "policy = edited(world.plan,", 'policy = edited(lambda seen: state["told"]["planned"][seen.week],'),),
    ),
    Fault(
        "a twin with noise of its own", "tests/world/test_media.py::test_what_reacts_reacts_to_the_same_noise[quarterly]",
        (("world/kpi.py", 'slot["eta"][signals["weeks"]])', 'slot["eta"][signals["weeks"] - (signals["lever"] == 0).any(axis=(1, 2))])'),),
    ),
    Fault(
        "a twin whose counts are drawn anew", "tests/world/test_media.py::test_what_reacts_to_counts_reacts_to_the_same_uniforms",
        (("world/kpi.py", 'slot["eta"][signals["weeks"]])', 'slot["eta"][signals["weeks"] - (signals["lever"] == 0).any(axis=(1, 2))])'),),
    ),
    Fault(
        "regret against a local optimum of an S-shape", "tests/world/test_worth.py::test_optimum_beats_a_brute_force_grid_and_stays_below_its_bound[0-bent]",
        (
            ("world/worth.py", "amounts = relaxed.amounts\n", CLIMB),
            ("world/worth.py", "better = read > best", "better = read > np.inf"),
            ("optimum/__init__.py", "from simbench.optimum.separable import separable", "from simbench.optimum import starts\nfrom simbench.optimum.separable import separable"),
        ),
    ),
    Fault(
        "steps that no threshold lets through, and no exchange of money across it", "tests/test_optimum_joint.py::test_money_is_moved_across_thresholds[18]",
        (("optimum/joint.py", "found += ends", "found += []"),),
    ),
    Fault(
        "an upper bound read off the lower ends of cells", "tests/test_optimum.py::test_branching_and_grid_each_close_a_gap[1]",
        (("optimum/relax.py", "np.where(width > 0, np.minimum(up, down), value[..., :-1])", "value[..., :-1]"),),
    ),
    Fault(
        "a bound without what earlier weeks left of a channel that settles first", "tests/world/test_worth.py::test_a_bound_counts_what_earlier_weeks_left_of_a_channel_that_settles_first",
        (("world/cells.py", "media.beta * media.spread * left", "0.0 * left"),),
    ),
    Fault(
        "a bound that forgets where an S-shape is steepest", "tests/test_optimum_limits.py::test_bounds_of_answered_curves_hold_and_are_reached",
        (("optimum/curves.py", "between = (place > low) & (place < high)", "between = (place > low) & (place < low)"),),
    ),
    Fault(
        "Shapley values by sampling where exact ones are possible", "tests/world/test_truth.py::test_shapley_values_by_all_orders",
        (("world/history.py", "    return subsets, weights\n", "    " + SAMPLED + "\n"),),
    ),
    Fault(
        "holdout noise omitted", "tests/backends/test_baselines.py::test_the_forecast_carries_its_own_noise",
        (("backends/base.py", "forecast=answers.forecast + noise", "forecast=answers.forecast + 0 * noise"),),
    ),
    Fault(
        "scaling on the full series", "tests/backends/test_conformance.py::test_every_native_contender_keeps_the_laws[ols]",
        (("backends/baselines.py", "kpi = jnp.where(seen > 0, panel.kpi[:, 0], 0.0) / context.kpi_scale", "kpi = panel.kpi[:, 0] / context.kpi_scale"),),
    ),
    Fault(
        "posterior sd x 0.7", "tests/backends/bayes/test_fit.py::test_answers_spread_as_wide_as_the_posterior[laplace]",
        (("backends/bayes/fit.py", "        whole = [all(", "        chosen = [0.7 * each + 0.3 * points.mean(axis=(0, 1)) for each, points in zip(chosen, fit.points, strict=True)]\n        whole = [all("),),
    ),
    Fault(
        "a wrong Jacobian", "tests/backends/bayes/test_straight.py::test_it_is_a_change_of_variables",
        (("backends/bayes/straight.py", "(own + jnp.log(amplitude)).sum()", "own.sum()"),),
    ),
    Fault(
        "a density of the value taken for one of the point", "tests/backends/bayes/test_prior.py::test_the_density_is_normalised[beta-numbers5]",
        (("backends/bayes/prior.py", "a * jax.nn.log_sigmoid(z) + b * jax.nn.log_sigmoid(-z)", "(a - 1.0) * jax.nn.log_sigmoid(z) + (b - 1.0) * jax.nn.log_sigmoid(-z)"),),
    ),
    Fault(
        "models weighed by weeks that they have seen", "tests/backends/bayes/test_averaged.py::test_a_week_is_predicted_by_a_posterior_that_has_not_seen_it",
        (("backends/bayes/averaged.py", "weights, _ = smoothed(-told)", "weights = jnp.full_like(told, -jnp.log(1.0 * len(told)))"),),
    ),
    Fault(
        "a dropped prior", "tests/backends/bayes/test_straight.py::test_it_is_a_change_of_variables",
        (("backends/bayes/density.py", "return log_prior(model, z, data) + log_likelihood(", "return log_likelihood("),),
    ),
    Fault(
        "channels permuted in an adapter", "tests/protocol/test_answers.py::test_channels_in_another_order_are_put_right[.npz]",
        (("protocol/parsing.py", "return np.array([told.index(name) for name in asked.channels])", "return np.arange(len(told))"),),
    ),
    Fault(
        "bootstrap over channels instead of worlds", "tests/score/test_headlines.py::test_dependent_channels_do_not_narrow_the_interval",
        (("score/tables.py", "statistics.resample(len(members), stream, resamples)", "statistics.resample(5 * len(members), stream, resamples).reshape(resamples, -1, 5).mean(axis=-1)"),),
    ),
    Fault(
        "weeks ahead in the brief of an earlier origin", "tests/world/test_origin.py::test_nothing_of_the_weeks_ahead_is_in_the_panel",
        (("world/seen.py", "rows[:, weeks:] = 0.0", "rows[:, weeks + 1 :] = 0.0"),),
    ),
    Fault(
        "dirt that reaches the truth", "tests/world/test_measure.py::test_dirt_never_reaches_the_truth[plain]",
        (("world/truth.py", "truth_of(scenario, secret, clean) if truth", "truth_of(scenario, secret, measured(scenario, numbers, master, Known(form, now, path), clean)) if truth"),),
    ),
    Fault(
        "claims for the effect of another channel", "tests/oracle/test_oracle_measure.py::test_what_is_seen_equals_oracle[{additive}]",
        (("world/measure.py", "* effect * inside", "* effect[..., ::-1] * inside"),),
    ),
    Fault(
        "a missing answer without its penalty", "tests/score/test_headlines.py::test_failures_are_imputed_from_their_own_cell_and_never_dropped",
        (("score/losses.py", "filled = np.where(there, value, np.where(lost & ~nowhere, instead, np.nan))", "filled = value"),),
    ),
    Fault(
        "in-class and out-of-class results pooled", "tests/score/test_headlines.py::test_in_class_and_out_of_class_are_never_averaged_together",
        (("score/headlines.py", "table.inside[k, asked] == known", "table.inside[k, asked] >= known"),),
    ),
    Fault(
        "the best draws taken for the worst", "tests/decide/test_readings.py::test_the_tail_is_the_mean_of_the_worst",
        (("optimum/draws.py", 'order = np.argsort(values, axis=-1, kind="stable")', 'order = np.argsort(-values, axis=-1, kind="stable")'),),
    ),
    Fault(
        "the mean taken for the plug-in", "tests/decide/test_readings.py::test_the_plug_in_does_not_see_how_far_draws_reach",
        (("decide/readings.py", "return np.median(self.kpi, axis=1)", "return np.mean(self.kpi, axis=1)"),),
    ),
    Fault(
        "information that costs", "tests/decide/test_readings.py::test_draws_that_are_all_the_same_know_everything[3.0]",
        (("optimum/draws.py", "regret[:, :-1].mean(axis=1) - regret[:, -1]", "regret[:, :-1].mean(axis=1)"),),
    ),
    Fault(
        "the best worlds taken for the worst", "tests/score/test_outcomes.py::test_the_worst_tenth_of_worlds",
        (("score/outcomes.py", "np.argsort(-losses.value[k][there]", "np.argsort(losses.value[k][there]"),),
    ),
    Fault(
        "media that bring something with no money", "tests/world/test_worth.py::test_media_driven_kpi_is_the_sum_of_responses_where_channels_do_not_interact",
        (("world/worth.py", "net + paid) / book.worth", "net) / book.worth"),),
    ),
    Fault(
        "failures dropped", "tests/run/test_execute.py::test_a_failure_is_a_row_with_its_reason_and_hurts_nobody",
        (("run/results.py", "    if failed:\n", "    if failed and not head:\n"),),
    ),
    Fault(
        "a resumed row doubled", "tests/run/test_execute.py::test_a_cell_stored_twice_counts_once",
        (("run/results.py", 'keep = [i for i, r in enumerate(group["replicates"]) if r in replicates]', 'keep = list(range(len(group["replicates"])))'),),
    ),
    Fault(
        "a loop on the path that was drawn", "tests/world/test_living.py::test_an_analyst_sees_the_life_so_far_and_nothing_more[plain]",
        (("world/living.py", "        part[:, first:] = 0.0\n", "        pass\n"), ("world/living.py", "        whole[:, first : first + living.every] = part\n", "        pass\n")),
    ),
    Fault(
        "money kept that is spent twice", "tests/decide/test_loop.py::test_amounts_can_be_spent_and_no_money_is_lost_or_made",
        (("decide/loop.py", "reserve + usual.sum(axis=-1) - amounts.sum(axis=-1), 0.0)", "reserve + np.maximum(usual.sum(axis=-1) - amounts.sum(axis=-1), 0.0), 0.0)"),),
    ),
    Fault(
        "a hang not noticed", "tests/run/test_hangs.py::test_who_sleeps_twice_is_a_failure_that_says_where",
        (("run/hosts.py", "if pulse is not None and not events and pulse.hung():", "if pulse is not None and not events and pulse.hung() and not pulse.limit:"),),
    ),
    Fault(
        "what hung is not asked again", "tests/run/test_hangs.py::test_what_hung_once_is_asked_again_whole_in_a_fresh_process[1]",
        (("run/supervisor.py", "if hung and positions != again:", "if hung and positions == again:"),),
    ),
    Fault(
        "whoever waits for a service taken as hung", "tests/run/test_hangs.py::test_a_strangers_wait_is_no_hang",
        (("run/supervisor.py", 'computes = slot.company == "" and', "computes ="),),
    ),
    Fault(
        "a trigger's cap forgotten", "tests/decide/test_triggers.py::test_a_shortfall_moves_as_much_and_a_quarter_at_most[1.0-45.0]",
        (("decide/triggers.py", "reasons(fired, np.minimum(missing, cap), return_of_the_last_week", "reasons(fired, missing, return_of_the_last_week"),),
    ),
    Fault(
        "weeks that no platform has reported taken for weeks without sales", "tests/decide/test_beliefs.py::test_claims_count_up_to_the_last_report",
        (("decide/beliefs.py", "paid = np.where(reported, spend, 0.0)", "paid = spend"),),
    ),
    Fault(
        "an oracle that imports the code it checks", "tests/oracle/test_oracle_alone.py::test_nothing_of_simbench_but_the_reader[formulas.py]",
        (("../tests/oracle/formulas.py", "\nimport numpy as np\n", "\nimport numpy as np\n\nfrom simbench import transforms  # noqa: F401\n"),),
    ),
)  # fmt: skip
#: The random scenario of the oracle that is quickest to compile and sums curves.
ADDITIVE = 6


def copied(folder: Path, changes: tuple[tuple[str, str, str], ...]) -> Path:
    """A copy of the package, its scenarios and tests with the changes made."""
    for part in ("simbench", "scenarios", "tests", "docs", "examples"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for file, old, new in changes:
        path = folder / "simbench" / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{file}: {old!r} stands there {text.count(old)} times, not once"
        path.write_text(text.replace(old, new), encoding="utf-8")
    return folder


def outcome(folder: Path, test: str) -> subprocess.CompletedProcess[str]:
    """Run one test on a copy of the package."""
    (folder / ".cache").mkdir(exist_ok=True)
    if not (folder / ".cache" / "jax").exists() and (ROOT / ".cache" / "jax").exists():
        (folder / ".cache" / "jax").symlink_to(
            ROOT / ".cache" / "jax"
        )  # programs a fault leaves alone are compiled already
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (folder, folder / "tests")))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", test]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_caught(fault, tmp_path):
    result = outcome(copied(tmp_path, fault.changes), fault.caught_by.format(additive=ADDITIVE))
    assert result.returncode == 1, result.stdout[-2000:] + result.stderr[-2000:]
    assert "1 failed" in result.stdout and "AssertionError" in result.stdout, result.stdout[-2000:]
