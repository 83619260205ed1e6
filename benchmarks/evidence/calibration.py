"""Simulation-based calibration of every model and engine on the model's own prior.

    python -m benchmarks.evidence.calibration --worlds 500

Worlds keep the spend, the scales and what the analyst expects of one panel; parameters are drawn from the prior and
a KPI from the model. If an engine draws from the posterior, the rank of the true value among its draws is uniform
(Talts and others 2018), whatever quantity is looked at, also one that looks at the data (Modrak and others 2023).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import binom

from benchmarks.evidence import common
from simbench.backends.bayes import density, fit
from simbench.backends.bayes.data import with_kpi
from simbench.backends.bayes.model import Model
from simbench.backends.bayes.models import MODELS
from simbench.blocks import in_blocks, in_float64

#: Draws of a world after thinning: fewer than are effective of any return once a fit calls itself converged.
KEPT = 99
#: Cells of the distribution of ranks whose edges are looked at.
CELLS = 20
FAMILY = 0.05  #: chance that any of all correct quantities is called wrong
Plant = Callable[[Any, Any], Any]


class Ranks(NamedTuple):
    """Where true values stand among draws."""

    names: list[str]
    ranks: np.ndarray  #: [R, Q], 0 to KEPT
    green: np.ndarray  #: [R] whose diagnostics are content
    lost: int  #: without finite draws; their ranks are 0


# --- worlds


def asked(model: Model, z: Any, plain: Any, block: Any, data: Any) -> Any:
    """What is ranked [Q]: parameters, returns, marginal returns, base in the first and last week, log density."""
    parameters = density.placed(model, z, data)
    channels = data.worth.shape[1]
    returns = common.quantities(model, parameters, block, data)[: 2 * channels]
    base = jnp.einsum("gmp,gp->m", data.basis, jnp.sqrt(data.size) * plain)
    last = data.seen.sum().astype(int) - 1
    return jnp.concatenate([z, returns, jnp.stack([base[0], base[last], density.log_density(model, z, data)])])


def names_of(model: Model, data: Any) -> list[str]:
    """The names of what is ranked; `data` of one world."""
    number, channels = density.sizes(model, data), data.worth.shape[1]
    own = [f"{each.name} {i + 1}" for each in model.parameters for i in range(number[each.per])]
    media = [f"{what} {c + 1}" for what in ("ROAS", "marginal ROAS") for c in range(channels)]
    return [*own, *media, "first base", "last base", "log density"]


def simulated(model: Model, key: Any, data: Any, plant: Plant) -> tuple[Any, Any]:
    """A world of the model's prior: its data, and the true values [Q]."""
    point_key, linear_key, error_key = jax.random.split(jax.random.wrap_key_data(key), 3)
    z = plant(density.prior_points(model, point_key, data, 1)[0], data)
    parameters = density.placed(model, z, data)
    plain, block = density.linear_prior(model, linear_key, parameters, data)
    media = density.media_of(model, parameters, data)
    mean = density.known_mean(model, parameters, data, media)
    if model.collapsed:
        columns = density.linear_columns(media, data)
        mean = mean + jnp.einsum("gkm,gk->gm", columns, jnp.concatenate([plain, block], axis=1))
    if model.noise == "student":
        error = jax.random.t(error_key, parameters["freedom"][0], mean.shape)
    else:
        error = jax.random.normal(error_key, mean.shape)
    data = with_kpi(data, mean + density.noise_of(model, parameters, data)[:, None] * error)
    return data, asked(model, z, plain, block, data)


def worlds(model: Model, data: Any, count: int, seed: int, plant: Plant = lambda z, data: z) -> tuple[Any, np.ndarray]:
    """Data of worlds on the panel of `data` (one world's), and their true values [R, Q]. `plant` falsifies truths."""
    program = jax.jit(jax.vmap(lambda key, data: simulated(model, key, data, plant)))
    same = jax.tree.map(lambda x: np.broadcast_to(x, (count, *x.shape)), data)
    return in_blocks(program, (common.keys_of(count, seed), same))


# --- ranks


@cache
def asked_of_draws(model: Model) -> Callable[..., Any]:
    """Compiled: (keys, points [R, D, n], data) -> quantities [R, D, Q]; what is integrated out is drawn."""

    def one(cell: Any, data: Any) -> Any:
        key, z = cell
        linear = density.linear_draw(model, jax.random.wrap_key_data(key), density.placed(model, z, data), data)
        return asked(model, z, *linear, data)

    def world(cell: Any) -> Any:
        key, points, data = cell
        keys = jax.random.key_data(jax.random.split(jax.random.wrap_key_data(key), points.shape[0]))
        return jax.lax.map(lambda each: one(each, data), (keys, points), batch_size=33)

    return jax.jit(lambda *batched: jax.lax.map(world, batched))


def thinned(fitted: Any, spoil: Callable[[np.ndarray], np.ndarray] = lambda points: points) -> np.ndarray:
    """Points [R, KEPT, n] of a fit, falsified by `spoil`."""
    return np.stack([spoil(fit.evenly(points, KEPT)) for points in fitted.points]).astype(float)


def ranked(model: Model, points: np.ndarray, data: Any, truth: np.ndarray, seed: int = 3) -> np.ndarray:
    """Ranks [R, Q] of true values among draws."""
    every = in_blocks(asked_of_draws(model), (common.keys_of(len(points), seed), points, data), common.LANES)
    return (every < truth[:, None]).sum(axis=1)


def calibrated(name: str, way: str, data: Any, every: Any, truth: np.ndarray) -> Ranks:
    """Ranks of a model's worlds by an engine."""
    model = common.model_of(name)
    engine, precision = common.default_engine(name, way)
    keys = common.keys_of(len(truth), 4)
    lanes = common.LANES if engine.together else 1
    fitted = fit.fitted(fit.programs(model, engine), engine, keys, every, lanes, precision)
    points = thinned(fitted)
    green = np.array([fit.diagnostics_of(engine, fitted, i).converged > 0 for i in range(len(keys))])
    lost = int((~np.isfinite(points).all(axis=(1, 2))).sum())
    return Ranks(names_of(model, data), ranked(model, points, every, truth), green, lost)


# --- uniformity


@cache
def _steps(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Of how many ranks lie below each edge: two-sided tails [K - 1, N + 1], and chances of steps [..., N + 1]."""
    n, edges = np.arange(count + 1), np.arange(1, CELLS) / CELLS
    tail = np.stack([2 * np.minimum(binom.cdf(n, count, p), binom.sf(n - 1, count, p)) for p in edges])
    own = (1 / CELLS) / (1 - (np.arange(1, CELLS) - 1) / CELLS)  # of those above the last edge, below this one
    return tail, np.stack([binom.pmf(n[None] - n[:, None], count - n[:, None], p) for p in own])


def p_value(ranks: np.ndarray) -> float:
    """The chance that uniform ranks leave some edge as far in its tail as these do; exact.

    References
    ----------
    Sailynoja, Burkner and Vehtari 2022: simultaneous envelopes of the empirical distribution function.
    """
    count = len(ranks)
    tail, steps = _steps(count)
    edges = np.arange(1, CELLS) * (KEPT + 1) // CELLS
    below = (ranks[:, None] < edges).sum(axis=0)
    most = tail[np.arange(CELLS - 1), below].min() * (1 + 1e-9)
    alive = np.zeros(count + 1)
    alive[0] = 1.0
    for inside, step in zip(tail > most, steps, strict=True):
        alive = np.where(inside, alive @ step, 0.0)
    return max(1.0 - alive.sum(), 0.0)


def gap(ranks: np.ndarray) -> float:
    """Largest distance between the distribution function of ranks and a uniform one, at the edges."""
    edges = np.arange(1, CELLS) * (KEPT + 1) // CELLS
    return float(np.abs((ranks[:, None] < edges).mean(axis=0) - np.arange(1, CELLS) / CELLS).max())


def coverage(ranks: np.ndarray, level: float) -> tuple[float, float]:
    """Share of central intervals that hold the truth [R, C]: mean over channels, then worlds; standard error."""
    outside = round((1 - level) / 2 * (KEPT + 1))
    held = ((ranks >= outside) & (ranks <= KEPT - outside)).mean(axis=1)
    return held.mean(), held.std(ddof=1) / np.sqrt(len(held))


# --- the table

HEAD = [
    "model, engine", "worlds", "quantities", "not content", "lost", "smallest p", "of", "its gap", "ROAS in 50%",
    "ROAS in 90%", "verdict", "smallest p of the content", "its gap", "ROAS in 90%", "verdict",
]  # fmt: skip


def cells_of(ranks: np.ndarray, names: list[str], family: int) -> dict[str, str]:
    p = np.array([p_value(ranks[:, q]) for q in range(ranks.shape[1])])
    worst, roas = int(p.argmin()), [i for i, name in enumerate(names) if name.startswith("ROAS")]
    half, most = (coverage(ranks[:, roas], level) for level in (0.5, 0.9))
    return {
        "p": f"{p[worst]:.1e}", "of": names[worst], "gap": f"{gap(ranks[:, worst]):.3f}",
        "50": f"{100 * half[0]:.1f} ± {100 * half[1]:.1f}", "90": f"{100 * most[0]:.1f} ± {100 * most[1]:.1f}",
        "verdict": "uniform" if p[worst] * family > FAMILY else "not uniform",
    }  # fmt: skip


def row_of(label: str, told: Ranks, family: int) -> list[str]:
    every = cells_of(told.ranks, told.names, family)
    lead = [label, f"{len(told.ranks)}", f"{len(told.names)}", f"{100 * (1 - told.green.mean()):.1f}%", f"{told.lost}"]
    row = [*lead, *(every[key] for key in ("p", "of", "gap", "50", "90", "verdict"))]
    if told.green.sum() < CELLS:
        return [*row, "-", "-", "-", "too few"]
    green = cells_of(told.ranks[told.green], told.names, family)
    return [*row, *(green[key] for key in ("p", "gap", "90", "verdict"))]


def main() -> None:
    """Write the table."""
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--models", nargs="+", default=list(MODELS))
    ask.add_argument("--ways", nargs="+", default=["hmc", "laplace"])
    ask.add_argument("--worlds", type=int, default=500)
    ask.add_argument("--scenario", default="jin2017-2y", help="whose panel national models get")
    options = ask.parse_args()
    common.settings()
    began = time.perf_counter()
    every: dict[str, Ranks] = {}
    for name in options.models:
        model = common.model_of(name)
        brief = common.briefs_of(common.GEO if model.geos else options.scenario, [0])
        stages = fit.programs(model, common.default_engine(name, "laplace")[0])
        data = jax.tree.map(lambda x: x[0], in_float64(stages.data, common.stacked(brief)))
        drawn, truth = worlds(model, data, options.worlds, 5)
        for way in options.ways:
            every[f"{name}, {way}"] = calibrated(name, way, data, drawn, truth)
        # each way answers for its own family: what is approximate takes nothing from what is exact
        family = {w: sum(len(r.names) for k, r in every.items() if k.endswith(f", {w}")) for w in options.ways}
        rows = [row_of(label, told, family[label.rsplit(", ", 1)[1]]) for label, told in every.items()]
        command = f"python -m benchmarks.evidence.calibration --worlds {options.worlds} --scenario {options.scenario}"
        text = common.told(command, time.perf_counter() - began) + common.table(HEAD, rows)
        print(text, flush=True)
        # after every model: what is cut short leaves the rows it has
        common.written("calibration", text)


if __name__ == "__main__":
    main()
