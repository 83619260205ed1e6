"""The models written anew against the libraries they follow, term by term.

tests/backends/peer_log_priors.json holds a small panel, 100 draws of each library's prior, the log density that the
library itself gives each parameter there, its scaled KPI, the mean of that at the first five draws, and its version.
`make peers` makes it anew; benchmarks/peers/README.md says how.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from simbench.backends.bayes import density
from simbench.backends.bayes import prior as priors
from simbench.backends.bayes.data import data_of
from simbench.backends.bayes.model import Model, parameter
from simbench.backends.bayes.models import meridian_style, pymc_marketing_style
from simbench.blocks import in_float64
from simbench.briefs import brief_from_table

GOLDEN = json.loads((Path(__file__).resolve().parents[1] / "peer_log_priors.json").read_text())
PANEL = GOLDEN["panel"]
WEEKS = len(PANEL["kpi"])
TOLERANCE = 1e-9  #: relative; both libraries compute in float64, and 12 digits were written
MONDAYS = pd.date_range(PANEL["start"], periods=WEEKS + 60, freq="7D")
DAY_OF_YEAR = MONDAYS.day_of_year.to_numpy()


class Peer(NamedTuple):
    """A library and our model of it."""

    name: str
    model: Model
    sampled: dict[str, str]  #: our sampled parameters -> the library's
    plain: dict[str, str]  #: our plain columns -> the library's coefficients


PYMC = Peer(
    "pymc-marketing",
    pymc_marketing_style(),
    {"effect": "beta", "retention": "retention", "steepness": "lam", "season": "fourier", "noise": "noise"},
    {"level": "intercept", "control": "control"},
)
# with one knot the library has neither trend nor season; ours has both as further controls, which stand at 0 here
MERIDIAN = Peer(
    "meridian",
    meridian_style(),
    {"effect": "roas", "retention": "retention", "half_at": "half_at", "noise": "noise"},
    {"level": "level", "control": "control"},
)
PEERS = pytest.mark.parametrize("peer", [PYMC, MERIDIAN], ids=lambda peer: peer.name)


@pytest.fixture(scope="module")
def brief():
    """The panel of the golden file."""
    table = pd.DataFrame(PANEL["spend"]).add_prefix("spend_").assign(date=MONDAYS[:WEEKS], kpi=PANEL["kpi"])
    table["control"] = np.array(PANEL["controls"])
    spend = [f"spend_{c}" for c in range(len(PANEL["spend"][0]))]
    return brief_from_table(table, date="date", kpi="kpi", spend=spend, controls=["control"])[0]


@pytest.fixture(scope="module")
def dated(brief):
    """The same with the season's phase as PyMC-Marketing has it: the number of the day over 365.25."""
    year = DAY_OF_YEAR / 365.25
    future = brief.questions.future
    future = future._replace(calendar=year[WEEKS : WEEKS + len(future.calendar)])
    return brief._replace(
        panel=brief.panel._replace(calendar=year[:WEEKS]), questions=brief.questions._replace(future=future)
    )


def points_of(peer: Peer) -> dict[str, np.ndarray]:
    """The draws [100, k] by the library's names."""
    points = GOLDEN[peer.name]["points"]
    told = {name: np.array([np.atleast_1d(point[name]) for point in points]) for name in points[0]}
    if "fourier" in told:  # sines first there, cosines first here
        told["fourier"] = np.roll(told["fourier"], 2, axis=1)
    return told


def density_of_value(prior: priors.Prior, value: Any) -> Any:
    """Log density of a value [k]: that of its z less the log of |d value / d z|."""
    z = priors.KINDS[prior.kind].point(value, *prior.numbers)
    slope = jnp.diagonal(jax.jacobian(partial(priors.value, prior))(z))
    return (priors.log_density(prior, z) - jnp.log(jnp.abs(slope))).sum()


def parameters_of(peer: Peer, points: dict[str, Any]) -> dict[str, Any]:
    return {ours: points[theirs] for ours, theirs in peer.sampled.items()}


def plain_columns(peer: Peer, brief: Any) -> dict[str, Any]:
    """What one unit of each of the library's plain coefficients brings [T, k]; its own prior sd is taken off."""
    model, columns = peer.model, data_of(brief, peer.model).plain[0, :WEEKS]
    controls = np.shape(brief.panel.controls)[-1]
    return {"level": columns[:, :1] / model.plain.level, "control": columns[:, -controls:] / model.plain.control}


def mean_of(peer: Peer, points: dict[str, Any], brief: Any) -> Any:
    """Mean of the scaled KPI [T] at one point; our further columns stand at 0."""
    data, parameters = data_of(brief, peer.model), parameters_of(peer, points)
    mean = density.known_mean(peer.model, parameters, data, density.media_of(peer.model, parameters, data))[0, :WEEKS]
    columns = plain_columns(peer, brief)
    return mean + sum(columns[ours] @ points[theirs] for ours, theirs in peer.plain.items())


def means(peer: Peer, brief: Any) -> tuple[np.ndarray, np.ndarray]:
    """Means [5, T] by us and by the library."""
    expected = np.array(GOLDEN[peer.name]["mean"])
    points = {name: value[: len(expected)] for name, value in points_of(peer).items()}
    program = jax.jit(jax.vmap(partial(mean_of, peer), in_axes=(0, None)))
    return in_float64(program, points, brief), expected


@PEERS
def test_every_term_of_the_library_is_one_of_ours(peer):
    assert set(peer.sampled) == {each.name for each in peer.model.parameters}
    assert {*peer.sampled.values(), *peer.plain.values()} == set(GOLDEN[peer.name]["log_prior"])


@PEERS
def test_sampled_parameters_have_the_prior_of_the_library(peer):
    points = points_of(peer)
    for ours, theirs in peer.sampled.items():
        prior = parameter(peer.model, ours).prior
        told = in_float64(jax.jit(jax.vmap(partial(density_of_value, prior))), points[theirs])
        np.testing.assert_allclose(told, GOLDEN[peer.name]["log_prior"][theirs], rtol=TOLERANCE, atol=TOLERANCE)


@PEERS
def test_plain_coefficients_have_the_prior_of_the_library(peer):
    """They are integrated out: normal, with the sd by which their columns are multiplied."""
    points = points_of(peer)
    for ours, theirs in peer.plain.items():
        prior = priors.Prior("normal", (0.0, getattr(peer.model.plain, ours)))
        told = in_float64(jax.vmap(partial(density_of_value, prior)), points[theirs])
        np.testing.assert_allclose(told, GOLDEN[peer.name]["log_prior"][theirs], rtol=TOLERANCE, atol=TOLERANCE)


@PEERS
def test_the_kpi_is_scaled_as_by_the_library(peer, brief):
    told = in_float64(lambda brief: data_of(brief, peer.model).kpi[0, :WEEKS], brief)
    np.testing.assert_allclose(told, GOLDEN[peer.name]["kpi"], rtol=0, atol=TOLERANCE)


@PEERS
def test_the_mean_of_the_kpi_is_that_of_the_library(peer, dated):
    """Scales, carry-over, saturation, season, controls, and the rule from returns to coefficients."""
    told, expected = means(peer, dated)
    np.testing.assert_allclose(told, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


def test_the_calendar_is_less_than_two_days_behind(brief):
    """It counts days from 0 and goes on through leap years, PyMC-Marketing counts from 1 in every year."""
    told, expected = means(PYMC, brief)
    behind = np.mod(DAY_OF_YEAR[:WEEKS] - 365.25 * brief.panel.calendar, 365.25)
    assert behind.min() > 0 and behind.max() < 2

    # a wave of order k moves by no more than its coefficient times k times the angle of these days
    fourier = np.abs(points_of(PYMC)["fourier"][: len(told)])
    bound = 2 * np.pi * behind / 365.25 * (fourier @ [1, 2, 1, 2])[:, None]
    np.testing.assert_array_less(np.abs(told - expected), bound + TOLERANCE)


def test_the_coefficients_that_returns_imply_are_those_of_the_library(brief):
    def coefficients(points: dict[str, Any], brief: Any) -> Any:
        data, parameters = data_of(brief, MERIDIAN.model), parameters_of(MERIDIAN, points)
        curve = density.curves(MERIDIAN.model, parameters, data)
        return (density.amplitudes(MERIDIAN.model, parameters, data, curve) * parameters["effect"])[0]

    expected = np.array(GOLDEN["meridian"]["beta"])
    points = {name: value[: len(expected)] for name, value in points_of(MERIDIAN).items()}
    told = in_float64(jax.jit(jax.vmap(coefficients, in_axes=(0, None))), points, brief)
    np.testing.assert_allclose(told, expected, rtol=TOLERANCE)
