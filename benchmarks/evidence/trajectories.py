"""How long hmc's trajectories should be: true draws for a gradient, judged by the referee's long chains.

python -m benchmarks.evidence.trajectories --keep FOLDER

Effective draws that chains count of themselves are too many where trajectories seldom enter a tail; true ones are
one over the mean squared error of means, in posterior variances.
"""

from __future__ import annotations

import argparse
import time
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks.evidence import common, referee
from simbench.backends.bayes import fit
from simbench.blocks import in_float64

#: Model -> leapfrog steps in turn and draws a round.
TRIED = {
    "national": ((6, 6, 200), (6, 10, 130), (6, 10, 150), (10, 10, 110)),
    "time-varying": ((6, 6, 200), (6, 10, 150)),
    "robust": ((6, 6, 200), (6, 10, 150)),
    "meridian-style": ((6, 6, 200), (6, 10, 150)),
    "pymc-marketing-style": ((6, 10, 150), (9, 9, 150), (9, 15, 100)),
}
HEAD = [
    "model: leapfrog steps in turn, draws a round", "gradients a chain", "content", "true draws a 1,000 gradients",
    "z mean", "z sd",
]  # fmt: skip


class Tried(NamedTuple):
    """One fit of one panel."""

    gradients: float  #: of each chain
    content: bool
    squared: float  #: mean squared error of the means, in posterior variances
    z: np.ndarray


def tried(name: str, briefs: list[Any], chains: list[referee.Told], keys: int, lengths: tuple[int, int, int]) -> list:
    """Every panel fitted under several keys with trajectories of these lengths."""
    first, second, samples = lengths
    model = common.model_of(name)
    engine, precision = common.default_engine(name, "hmc", leapfrogs=first, longer=second, samples=samples)
    stages = fit.programs(model, engine)
    sums = jax.jit(lambda *arguments: referee.summarised(model, *arguments))
    data, streams = in_float64(stages.data, common.stacked(briefs * keys)), common.keys_of(len(briefs) * keys, 3)
    fitted = fit.fitted(stages, engine, streams, data, common.LANES, precision)
    found = []
    for i, points in enumerate(fitted.points):
        own = in_float64(sums, streams[i], points.astype(float), jax.tree.map(lambda x, i=i: x[i], data))
        true = chains[i % len(briefs)].summary
        moves = (own.sd > 0) & (true.sd > 0)
        off = (own.mean - true.mean)[moves] / true.sd[moves]
        steps = engine.options.warmup * first + points.shape[1] * (first + second) / 2
        content = bool(fit.diagnostics_of(engine, fitted, i).converged)
        found.append(Tried(steps, content, float((off**2).mean()), referee.z_scores(own, true)[moves]))
    return found


def row(name: str, lengths: tuple[int, int, int], found: list[Tried]) -> list[str]:
    """A row of the table."""
    first, second, samples = lengths
    gradients = np.mean([each.gradients for each in found])
    z = np.concatenate([each.z for each in found])
    return [
        f"{name}: {first}" + (f" and {second}" if second != first else "") + f", {samples}", f"{gradients:,.0f}",
        f"{np.mean([each.content for each in found]):.0%}",
        f"{1000 / np.mean([each.squared for each in found]) / gradients:.0f}", f"{z.mean():+.2f}", f"{z.std():.2f}",
    ]  # fmt: skip


def main() -> None:
    """Write the table."""
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--keep", metavar="FOLDER", help="chains that benchmarks.evidence.referee has kept")
    ask.add_argument("--panels", type=int, default=20, help="of the referee; those of the first shape are fitted")
    ask.add_argument("--samples", type=int, default=10000)
    ask.add_argument("--warmup", type=int, default=750)
    ask.add_argument("--keys", type=int, default=4)
    asked = ask.parse_args()
    common.settings()
    began, rows = time.perf_counter(), []
    for name, every in TRIED.items():
        briefs = referee.panels_of(name, asked.panels)[0]
        slow = referee.by_engine(name, "nuts", (("warmup", asked.warmup), ("samples", asked.samples)))
        what = f"nuts {name} {asked.warmup} {asked.samples}"
        chains, _ = referee.remembered(asked.keep, what, slow, briefs, referee.marks(name, briefs))
        for lengths in every:
            rows.append(row(name, lengths, tried(name, briefs, chains, asked.keys, lengths)))
            print(rows[-1], flush=True)
        jax.clear_caches()
        referee.by_engine.cache_clear()
    command = f"python -m benchmarks.evidence.trajectories --keys {asked.keys}"
    common.written("trajectories", common.told(command, time.perf_counter() - began) + common.table(HEAD, rows))


if __name__ == "__main__":
    main()
