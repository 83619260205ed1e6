"""Every way of answering that the contract allows is run, stored, valued and scored, end to end."""

from __future__ import annotations

import numpy as np
import pytest
import worlds
from backends import probes

import simbench as sb
from simbench.briefs import one
from simbench.run.results import opened
from simbench.run.supervisor import Limits


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """All probes beside a native contender, as drawn and with spend measured with error."""
    folder = tmp_path_factory.mktemp("probes")
    world = worlds.written(folder, worlds.plain(geos=2))
    specs = [*probes.PROBES, f"{probes.SLOW}[seconds=0.01]", "ols", "oracle", "prior-only", "seasonal-naive"]
    return sb.run(world, specs, replicates=2, transforms=["", "perturbed:0.05"], store=folder / "r")


@pytest.fixture(scope="module")
def scored(told):
    frame = sb.scores(told)
    plain = frame[frame["transform"] == ""]
    return plain.set_index(["backend", "estimand", "unit", "metric"]).sort_index()


def status(scored, backend, *row):
    return set(scored.loc[(backend, *row)].status)


def test_everybody_has_a_place_on_the_board(told):
    table = sb.table(told).set_index("backend")
    assert {"point_estimate", "quantiles_only", "attribution", "national_on_geo", "own_allocation"} <= set(table.index)
    assert (table.failures == 0).all()


def test_a_point_estimate_is_scored_where_no_interval_is_needed(scored):
    assert status(scored, "point_estimate", "contribution", "all", "error") == {"ok"}
    assert status(scored, "point_estimate", "contribution", "all", "coverage 90%") == {"no uncertainty"}
    assert status(scored, "point_estimate", "decision", "problem:0", "regret") == {"not answered"}


def test_quantiles_give_intervals_and_no_crps(scored):
    for metric in ("error", "coverage 90%", "interval score 90%"):
        assert status(scored, "quantiles_only", "contribution", "all", metric) == {"ok"}, metric
    assert status(scored, "quantiles_only", "contribution", "all", "crps") == {"not enough draws"}
    assert status(scored, "quantiles_only", "decision", "problem:0", "regret") == {"ok"}


def test_attribution_is_scored_against_the_same_truth(scored):
    assert status(scored, "attribution", "contribution", "all", "error") == {"ok"}
    assert status(scored, "attribution", "forecast", "all", "crps") == {"not answered"}


def test_a_national_model_answers_national_fields_of_a_geo_panel(scored):
    assert status(scored, "national_on_geo", "contribution", "all", "coverage 90%") == {"ok"}
    assert status(scored, "national_on_geo", "forecast", "all", "crps") == {"ok"}


def test_an_allocation_without_curves_is_valued_and_its_promise_weighed(scored):
    assert status(scored, "own_allocation", "decision", "problem:0", "own regret") == {"ok"}
    assert status(scored, "own_allocation", "decision", "problem:0", "own promise gap") == {"ok"}
    assert status(scored, "own_allocation", "decision", "problem:0", "common regret") == {"not answered"}
    assert status(scored, "own_allocation", "contribution", "all", "error") == {"not answered"}


def test_a_slow_one_takes_its_time_and_one_past_the_limit_is_a_timeout(scored, told, tmp_path):
    assert (scored.loc[("slow[seconds=0.01]", "cost", "all", "seconds")].value >= 0.01).all()
    world = worlds.written(tmp_path, worlds.plain(geos=2))
    limits = Limits(seconds=0.5, first=25.0, grace=0.2)
    run = sb.run(world, [f"{probes.SLOW}[seconds=60.0]", "ols"], replicates=1, store=tmp_path / "r", limits=limits)
    frame = sb.scores(run)
    assert set(frame[frame.backend.str.startswith("slow")].reason) == {"timeout"}
    assert not (frame[frame.backend == "ols"].status == "failed").any()


def test_a_refit_on_a_perturbed_brief_is_another_source_with_the_same_truth(told):
    names = [source.name for source in told.sources]
    assert names == ["test-world", "test-world@perturbed:0.05"]
    cells = [sb.inspect(told, f"{name}/0/ols") for name in names]
    one_, other = (cell.truth.answers.contribution for cell in cells)
    np.testing.assert_array_equal(one_, other)
    assert not np.array_equal(cells[0].brief.panel.spend, cells[1].brief.panel.spend)
    assert not np.array_equal(cells[0].reply.contribution, cells[1].reply.contribution)
    assert one(np.arange(2), 1) == 1 and opened(told).suite == "test-world"
