"""Engines against the no-U-turn sampler of NumPyro: on the collapsed density, and on models written out in full.

python -m benchmarks.evidence.referee --panels 20 --samples 10000 --full-panels 4
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from numpyro.handlers import seed, trace
from numpyro.infer.util import constrain_fn, potential_energy

from benchmarks.evidence import common
from simbench import ids
from simbench.backends.bayes import density, fit, nuts, referee, straight
from simbench.backends.bayes.diagnose import KHAT, RHAT, chains_agree
from simbench.backends.bayes.models import MODELS
from simbench.blocks import in_float64

SCENARIOS = ("clean", "jin2017-2y", "weak-media", "pymclabs-small", "collinear[0.9]")
LEVELS = np.array([0.05, 0.5, 0.95])
STEP = 0.02  #: of level, over which the slope of a quantile is taken
QUANTITIES = ("ROAS", "marginal ROAS", "curve")


class Summary(NamedTuple):
    """What is compared of the draws of one panel; every array [..., Q]."""

    mean: Any
    sd: Any
    ess: Any
    kurtosis: Any
    quantiles: Any  #: [3, Q], at LEVELS
    steep: Any  #: [3, Q], change of the quantiles with their level


class Told(NamedTuple):
    """One sampler on one panel."""

    summary: Summary  #: of quantities [5 C]
    green: bool  #: its own diagnostics are content


def summary(x: Any) -> Summary:
    """Moments, effective draws and quantiles of chains [M, S, Q]."""
    _, ess = chains_agree(x)
    every = x.reshape(-1, x.shape[-1])
    mean, sd = every.mean(axis=0), every.std(axis=0)
    kurtosis = (((every - mean) / jnp.where(sd > 0, sd, 1.0)) ** 4).mean(axis=0)
    low, at, high = (jnp.quantile(every, LEVELS + step, axis=0) for step in (-STEP, 0.0, STEP))
    return Summary(mean, sd, ess, kurtosis, at, (high - low) / (2 * STEP))


def summarised(model: Any, key: Any, points: Any, data: Any) -> Summary:
    """The summary of chains of points [M, S, n]."""
    x = common.at_points(model, key, points.reshape(-1, points.shape[-1]), data)
    return summary(x.reshape(*points.shape[:2], -1))


@cache
def by_engine(name: str, way: str, options: tuple[tuple[str, Any], ...] = ()) -> Any:
    """A function of briefs of one shape that tells what an engine says of each."""
    model = common.model_of(name)
    engine, precision = common.default_engine(name, way, **dict(options))
    stages = fit.programs(model, engine)
    sums = jax.jit(lambda *arguments: summarised(model, *arguments))

    def run(briefs: list[Any], first: int = 0) -> list[Told]:
        lanes = common.LANES if engine.together else 1
        keys = common.keys_of(first + len(briefs), 1)[first:]
        data = in_float64(stages.data, common.stacked(briefs))
        fitted = fit.fitted(stages, engine, keys, data, lanes, precision)
        replies = []
        for i, points in enumerate(fitted.points):
            own = jax.tree.map(lambda x, i=i: x[i], data)
            said = in_float64(sums, keys[i], points.astype(float), own)
            if points.shape[0] == 1:  # a pool of weighted points
                said = said._replace(ess=np.full_like(said.ess, fitted.ess[i]))
            replies.append(Told(said, bool(fit.diagnostics_of(engine, fitted, i).converged)))
        return replies

    return run


def program_of(model: Any, data: Any) -> tuple[int, Callable[[Any], Any], Callable[[Any], Any]]:
    """The program of NumPyro as functions of one vector: its size, the log density, and the quantities."""
    sites = trace(seed(referee.full, jax.random.key(0))).get_trace(model, data)
    start = {site: jnp.zeros_like(each["value"]) for site, each in sites.items() if not each["is_observed"]}
    flat, shaped = ravel_pytree(start)

    def log_density(x: Any) -> Any:
        return -potential_energy(referee.full, (model, data), {}, shaped(x))

    def told(x: Any) -> Any:
        values = constrain_fn(referee.full, (model, data), {}, shaped(x))
        block = values.get("block", jnp.zeros((len(data.size), 0)))
        return common.quantities(model, values, block, data)

    return len(flat), log_density, told


@cache
def in_full(name: str, sampler: nuts.Sampler) -> Any:
    """As :func:`by_engine`, of the model written out in NumPyro with nothing integrated out."""
    model = common.model_of(name)

    def chains(key: Any, data: Any) -> tuple[Any, Any]:
        size, log_density, told = program_of(model, data)
        points, _, _ = nuts.sample(jax.random.wrap_key_data(key), log_density, size, sampler, data.kpi.dtype)
        x = jax.lax.map(told, points.reshape(-1, size), batch_size=32)
        x = x.reshape(*points.shape[:2], -1)
        return summary(x), chains_agree(x)[0].max()

    program = jax.jit(chains)
    data_program = fit.programs(model, common.default_engine(name, "nuts")[0]).data

    def run(briefs: list[Any], first: int = 0) -> list[Told]:
        data = in_float64(data_program, common.stacked(briefs))
        keys = common.keys_of(first + len(briefs), 2)[first:]
        every = [in_float64(program, keys[i], jax.tree.map(lambda x, i=i: x[i], data)) for i in range(len(briefs))]
        return [Told(said, bool(rhat <= RHAT)) for said, rhat in every]

    return run


# --- chains that were run before


def marks(name: str, briefs: list[Any]) -> list[str]:
    """What a referee's chains depend on besides its settings: both densities and the quantities at fixed points."""
    model = common.model_of(name)

    def at_fixed(data: Any) -> Any:
        size, full_density, told = program_of(model, data)
        n = density.dimension(model, data)
        t, x = (jax.random.normal(jax.random.key(0), (3, k)) for k in (n, size))
        return jax.vmap(lambda t: straight.log_density(model, t, data))(t), jax.vmap(full_density)(x), jax.vmap(told)(x)

    program, data_program = jax.jit(at_fixed), fit.programs(model, common.default_engine(name, "nuts")[0]).data
    told = [in_float64(program, jax.tree.map(lambda x: x[0], in_float64(data_program, common.stacked([brief]))))
            for brief in briefs]  # fmt: skip
    return [" ".join(f"{x:.6g}" for part in one for x in part.ravel()) for one in told]


def remembered(
    folder: str | None, what: str, run: Callable[..., list[Told]], briefs: list[Any], of: list[str]
) -> tuple[list[Told], float]:
    """What a slow sampler says of every panel, and seconds it took; a folder keeps what was said before.

    `of` are the marks of the panels: a density that has changed is asked anew.
    """
    every, seconds = [], 0.0
    for i, (brief, mark) in enumerate(zip(briefs, of, strict=True)):
        place = Path(folder or "", ids.file_digest(f"{what} {i} {mark}".encode()) + ".npz")
        if folder and place.exists():
            with np.load(place) as file:
                said = Told(Summary(*(file[x] for x in Summary._fields)), bool(file["green"]))
                took = float(file["took"])
        else:
            began = time.perf_counter()
            (said,) = run([brief], i)
            took = time.perf_counter() - began
            if folder:
                place.parent.mkdir(parents=True, exist_ok=True)
                np.savez(place, **said.summary._asdict(), green=said.green, took=took)
        every.append(said)
        seconds += took
    return every, seconds


# --- comparing


def z_scores(own: Summary, other: Summary) -> np.ndarray:
    """Differences of means [Q] in standard errors.

    Both errors take the sd of the longer chains: a mean that is low by chance brings a low sd where a quantity is
    skewed, and z scores with that sd would not be centred.
    """
    return (own.mean - other.mean) / (other.sd * np.sqrt(1 / own.ess + 1 / other.ess))


def clustered(z: list[np.ndarray], seed: int = 0) -> tuple[float, float, float, float]:
    """Mean and sd of z, and standard errors of both: panels are drawn again, with all their quantities."""
    rng = np.random.default_rng(seed)
    every = np.concatenate(z)
    drawn = [np.concatenate([z[i] for i in rng.integers(0, len(z), len(z))]) for _ in range(2000)]
    return every.mean(), every.std(), np.std([x.mean() for x in drawn]), np.std([x.std() for x in drawn])


class Errors(NamedTuple):
    """Deviations from a referee in its posterior sds, quantities of all panels together."""

    bias: float
    absolute: float
    floor: float  #: of `absolute`, if both samplers are right
    spread: float  #: mean of the log ratio of posterior sds
    spread_absolute: float
    spread_floor: float
    quantiles: np.ndarray  #: mean absolute error of 5%, 50% and 95%
    quantile_floors: np.ndarray


def errors(own: list[Summary], other: list[Summary]) -> Errors:
    """How far a sampler is off, beside what chance alone gives so many effective draws."""

    def every(f: Any) -> np.ndarray:
        return np.concatenate([f(a, b) for a, b in zip(own, other, strict=True)], axis=-1)

    def chance(a: Summary, b: Summary) -> np.ndarray:  # mean size of the error of a mean, in sds
        return np.sqrt(2 / np.pi) * np.sqrt(1 / a.ess + 1 / b.ess)

    off = every(lambda a, b: (a.mean - b.mean) / b.sd)
    ratio = every(lambda a, b: np.log(a.sd / b.sd))
    quantiles = every(lambda a, b: (a.quantiles - b.quantiles) / b.sd)
    spread_floor = every(lambda a, b: chance(a, b) * np.sqrt((b.kurtosis - 1) / 4))
    around = np.sqrt(LEVELS * (1 - LEVELS))[:, None]
    floors = every(lambda a, b: chance(a, b) * around * b.steep / b.sd)
    return Errors(
        off.mean(), np.abs(off).mean(), every(chance).mean(), ratio.mean(), np.abs(ratio).mean(), spread_floor.mean(),
        np.abs(quantiles).mean(axis=-1), floors.mean(axis=-1),
    )  # fmt: skip


# --- the table


def panels_of(name: str, count: int, scenarios: Sequence[str] = SCENARIOS) -> list[list[Any]]:
    """Briefs of a model, those of one shape together: so many in all, spread over the scenarios."""
    if MODELS[name].make is MODELS["geo-hierarchical"].make:
        return [common.briefs_of(common.GEO, list(range(count)))]
    numbers = [len(range(i, count, len(scenarios))) for i in range(len(scenarios))]
    groups: dict[Any, list[Any]] = {}
    for scenario, number in zip(scenarios, numbers, strict=True):
        for brief in common.briefs_of(scenario, list(range(number))) if number else []:
            groups.setdefault((brief.panel.lever.shape, brief.panel.controls.shape), []).append(brief)
    return list(groups.values())


def main() -> None:
    """Write the tables."""
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--models", nargs="+", default=list(MODELS))
    ask.add_argument("--scenarios", nargs="+", default=list(SCENARIOS))
    ask.add_argument("--panels", type=int, default=8, help="panels of a model (collapsed density)")
    ask.add_argument("--samples", type=int, default=2500, help="steps kept of each of the referee's 4 chains")
    ask.add_argument("--warmup", type=int, default=750)
    ask.add_argument("--full-panels", type=int, default=2, help="panels on which the full model is sampled too")
    ask.add_argument("--full-samples", type=int, default=1000)
    ask.add_argument("--full-warmup", type=int, default=750)
    ask.add_argument("--full-accept", type=float, default=0.9, help="acceptance aimed at; funnels ask for short steps")
    ask.add_argument("--keep", metavar="FOLDER", help="keep the referee's chains, and do not run again what is there")
    asked = ask.parse_args()
    common.settings()
    seconds = 0.0
    exact, approximate, by_quantity = [], [], []
    for name in asked.models:
        groups = panels_of(name, asked.panels, asked.scenarios)
        collapsed = by_engine(name, "nuts", (("warmup", asked.warmup), ("samples", asked.samples)))
        sampler = nuts.Sampler(4, asked.full_warmup, asked.full_samples, asked.full_accept)
        said: dict[str, list[Told]] = {way: [] for way in ("nuts", "hmc", "laplace", "full")}
        for briefs in groups:
            of = marks(name, briefs)
            slow = [("nuts", f"{name} {asked.warmup} {asked.samples}", collapsed, len(briefs))]
            # those of the first shape: one program less to compile
            if briefs is groups[0]:
                slow.append(("full", f"{name} {sampler}", in_full(name, sampler), asked.full_panels))
            for way, what, run, count in slow:
                told, took = remembered(asked.keep, f"{way} {what}", run, briefs[:count], of[:count])
                said[way] += told
                seconds += took
            began = time.perf_counter()
            for way in ("hmc", "laplace"):
                said[way] += by_engine(name, way)(briefs)
            seconds += time.perf_counter() - began
        print(f"{name}: {seconds:.0f} s so far", flush=True)
        for label, own, other in (
            ("hmc, collapsed NUTS", "hmc", "nuts"),
            ("collapsed NUTS, full NUTS", "nuts", "full"),
            ("hmc, full NUTS", "hmc", "full"),
        ):
            exact.append(row_of_exact(name, label, said[own][: len(said[other])], said[other]))
        approximate += rows_of_approximate(name, said["laplace"], said["nuts"])
        by_quantity += rows_by_quantity(name, said["hmc"], said["nuts"])
        text = common.told(command_of(asked), seconds)
        text += common.table(EXACT, exact) + "\n`hmc` against NUTS on the collapsed density, by quantity:\n\n"
        text += common.table(BY_QUANTITY, by_quantity) + "\n`laplace` against the same chains:\n\n"
        text += common.table(APPROXIMATE, approximate)
        print(text, flush=True)
        # after every model: what is cut short leaves the rows it has
        common.written("referee", text)
        # compiled programs take mappings, of which a process has 65,530
        by_engine.cache_clear()
        in_full.cache_clear()
        jax.clear_caches()


def command_of(asked: argparse.Namespace) -> str:
    """The command that was asked, options that say nothing new left out."""
    told = {
        key.replace("_", "-"): " ".join(value) if isinstance(value, list) else value
        for key, value in vars(asked).items()
        if key != "keep" and value not in (list(MODELS), list(SCENARIOS))
    }
    return " ".join(["python -m benchmarks.evidence.referee", *(f"--{key} {value}" for key, value in told.items())])


EXACT = [
    "model: sampler, referee", "panels", "content", "z mean", "z sd", "error of means", "(chance)", "sd ratio, log",
    "its error", "(chance)", "error of 5 / 50 / 95%", "(chance)", "verdict",
]  # fmt: skip
BY_QUANTITY = ["model", *(f"{each}: z mean, sd" for each in QUANTITIES)]
APPROXIMATE = [
    "model: panels", "panels", "bias of means", "error of means", "(chance)", "sd ratio, log", "its error", "(chance)",
    "error of 5 / 50 / 95%", "(chance)", "verdict",
]  # fmt: skip


def moving(own: list[Told], other: list[Told]) -> list[np.ndarray]:
    """Which quantities [Q] of each panel vary at all."""
    return [(a.summary.sd > 0) & (b.summary.sd > 0) for a, b in zip(own, other, strict=True)]


def cut(every: list[Told], kept: list[np.ndarray]) -> list[Summary]:
    """The summaries of some quantities."""
    return [Summary(*(x[..., k] for x in one.summary)) for one, k in zip(every, kept, strict=True)]


def row_of_exact(name: str, label: str, own: list[Told], other: list[Told]) -> list[str]:
    kept = moving(own, other)
    a, b = cut(own, kept), cut(other, kept)
    mean, sd, mean_error, sd_error = clustered([z_scores(x, y) for x, y in zip(a, b, strict=True)])
    e = errors(a, b)
    fine = abs(mean) <= 0.3 and 0.8 <= sd <= 1.25
    # outside by no more than two standard errors: not told apart from the target with so few panels
    near = abs(mean) <= 0.3 + 2 * mean_error and 0.8 - 2 * sd_error <= sd <= 1.25 + 2 * sd_error
    few = len(own) < 4
    return [
        f"{name}: {label}", f"{len(own)}", f"{sum(x.green for x in own)}, {sum(x.green for x in other)}",
        f"{mean:+.2f}" + ("" if few else f" ± {mean_error:.2f}"), f"{sd:.2f}" + ("" if few else f" ± {sd_error:.2f}"),
        f"{e.absolute:.3f}", f"{e.floor:.3f}", f"{e.spread:+.3f}", f"{e.spread_absolute:.3f}", f"{e.spread_floor:.3f}",
        _three(e.quantiles), _three(e.quantile_floors), "yes" if fine else "within 2 se" if near and not few else "no",
    ]  # fmt: skip


def rows_by_quantity(name: str, own: list[Told], other: list[Told]) -> list[list[str]]:
    def part(x: np.ndarray, which: int) -> np.ndarray:
        roas, marginal, *curve = np.split(x, 2 + len(common.MULTIPLIERS))
        return (roas, marginal, np.concatenate(curve))[which]

    z = [np.where(k, z_scores(a.summary, b.summary), np.nan) for a, b, k in zip(own, other, moving(own, other))]
    cells = []
    for which in range(len(QUANTITIES)):
        kept = [x[np.isfinite(x)] for x in (part(x, which) for x in z)]
        mean, sd, mean_error, sd_error = clustered(kept)
        cells.append(f"{mean:+.2f} ± {mean_error:.2f}, {sd:.2f} ± {sd_error:.2f}")
    return [[name, *cells]]


def rows_of_approximate(name: str, own: list[Told], other: list[Told]) -> list[list[str]]:
    rows = []
    for label, picked in (("all", [True] * len(own)), (f"k-hat up to {KHAT}", [x.green for x in own])):
        pairs = [(a, b) for a, b, p in zip(own, other, picked, strict=True) if p]
        if not pairs:
            rows.append([f"{name}: {label}", "0", *["-"] * (len(APPROXIMATE) - 2)])
            continue
        a, b = (list(x) for x in zip(*pairs, strict=True))
        kept = moving(a, b)
        e = errors(cut(a, kept), cut(b, kept))
        fine = abs(e.bias) <= 0.1 and abs(e.spread) <= 0.1
        rows.append([
            f"{name}: {label}", f"{len(a)}", f"{e.bias:+.3f}", f"{e.absolute:.3f}", f"{e.floor:.3f}",
            f"{e.spread:+.3f}", f"{e.spread_absolute:.3f}", f"{e.spread_floor:.3f}", _three(e.quantiles),
            _three(e.quantile_floors), "yes" if fine else "no",
        ])  # fmt: skip
    return rows


def _three(x: np.ndarray) -> str:
    return " / ".join(f"{each:.2f}" for each in x)


if __name__ == "__main__":
    main()
