"""Models averaged by stacking: weights go to those that together predict each week best from all other weeks.

Nobody knows how effects carry over and saturate; a model of one kind is sure of it all the same. Here the same model
is fitted with every kind, and the answers are draws of all, in proportion to weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from simbench.backends.base import Backend, everything, served
from simbench.backends.bayes import density
from simbench.backends.bayes.data import Data
from simbench.backends.bayes.diagnose import smoothed
from simbench.backends.bayes.engine import Engine
from simbench.backends.bayes.fit import LOST, Fitter, evenly, programs, spun
from simbench.backends.bayes.model import Model, handles_of
from simbench.backends.nation import of_the_nation
from simbench.backends.traced import traced
from simbench.blocks import in_blocks, take
from simbench.records import Answers, Brief, Diagnostics, Failure

Array = Any
#: Posterior draws by which a model predicts weeks left out.
PREDICTING = 512
#: Steps towards the best weights: each is a few products, and none makes them worse.
STEPS = 2000


def predicted(model: Model, points: Array, data: Data) -> Array:
    """Log density [G, M] of each seen week's KPI by a posterior that has not seen that week; 0 in other weeks.

    Posterior points [D, n] are reweighted by one over the density of the week (what is linear integrated out),
    weights Pareto-smoothed.

    References
    ----------
    Vehtari, Gelman and Gabry 2017, leave-one-out cross-validation by Pareto-smoothed importance sampling.
    """

    def at(z: Array) -> Array:
        return density.left_out(model, density.placed(model, z, data), data)

    def of_week(told: Array, seen: Array) -> Array:
        weights, _ = smoothed(-told)
        return jnp.where(seen > 0, jax.nn.logsumexp(weights + told), 0.0)

    every = jax.lax.map(at, points, batch_size=64)
    own = jax.vmap(jax.vmap(of_week), (0, None))(jnp.moveaxis(every, 0, -1), data.seen)
    # of the KPI itself, so that models may scale it each in their way
    return own - jnp.log(data.scale)[:, None] * data.seen


def stacked(told: Array) -> Array:
    """Weights [K] under which a mixture of models predicts best, of their log densities [K, N] of N weeks left out.

    The mean of ``log sum_k w_k p_kn`` is concave in the weights; the EM steps of a mixture with known parts
    climb it. A model that is nowhere finite gets none.

    References
    ----------
    Yao, Vehtari, Simpson and Gelman 2018, Using stacking to average Bayesian predictive distributions.
    """
    sound = np.isfinite(told).all(axis=1)
    weights = sound / max(sound.sum(), 1)
    if not sound.any():
        return weights
    relative = np.where(sound[:, None], told, -np.inf)
    each = np.exp(relative - relative.max(axis=0))
    for _ in range(STEPS):
        weights = weights * (each / (weights @ each)).mean(axis=1)
    return weights


def shared_out(weights: Array, draws: int) -> Array:
    """How many of so many draws each model has [K]: its weight's worth, to the next whole number."""
    ends = np.floor(np.cumsum(weights) / weights.sum() * draws + 0.5).astype(int)
    return np.diff(ends, prepend=0)


def mixed(key: Array, parts: Sequence[tuple[int, Answers]]) -> Answers:
    """So many draws of each part, spread evenly over it; in an order by chance, so that every stretch is a mixture."""
    counts = [count for count, _ in parts]
    order = np.asarray(jax.random.permutation(jax.random.wrap_key_data(jnp.asarray(key)), sum(counts)))

    def together(*told: Array) -> Array:
        picked = [x[(2 * np.arange(n) + 1) * len(x) // (2 * n)] for n, x in zip(counts, told, strict=True)]
        return np.concatenate(picked)[order]

    answers = jax.tree.map(together, *(part._replace(diagnostics=None) for _, part in parts))
    return answers._replace(diagnostics=worst([part.diagnostics for _, part in parts]))


def worst(told: Sequence[Any]) -> Diagnostics:
    """The diagnostics of a mixture: each the worst of its parts."""

    def by(field: str, extreme: Callable[[Array], Any]) -> np.float64:
        every = np.array([getattr(one, field) for one in told], float)
        return np.float64(extreme(every) if not np.isnan(every).all() else np.nan)

    return Diagnostics(
        by("rhat_max", np.nanmax), by("ess_min", np.nanmin), by("divergences", np.nansum), by("khat_max", np.nanmax),
        by("converged", np.nanmin), by("status", np.nanmax),
    )  # fmt: skip


def averaged_backend(
    name: str,
    models: Sequence[Model],
    engine: Engine,
    *,
    block: int,
    lanes: int,
    precision: str,
    tags: Sequence[str] = (),
) -> Backend:
    """A contender of several national models, each fitted by the engine, stacked world by world."""
    members = [Fitter(model, engine, programs(model, engine), lanes, precision) for model in models]

    def in_turn(model: Model) -> Callable[..., Any]:
        return lambda *batched: jax.lax.map(lambda cell: predicted(model, *cell), batched)

    judges = [traced(in_turn(model), "predicted", model) for model in models]

    def ask(keys: Array, briefs: Brief) -> list[Answers | Failure]:
        own = [spun(keys, 4 * (k + 1)) for k in range(len(members))]
        drawn = [member.posterior(key, briefs) for member, key in zip(members, own, strict=True)]
        told = []
        for (data, fit), judge in zip(drawn, judges, strict=True):
            points = np.stack([evenly(x, PREDICTING) for x in fit.points])
            told.append(in_blocks(judge, (points, data), lanes, precision).reshape(len(keys), -1))
        draws = briefs.questions.sizes.draws
        counts = []
        for each in np.stack(told, axis=1):
            weights = stacked(each)
            counts.append(shared_out(weights, draws) if weights.any() else np.zeros(len(members), int))
        parts: list[list[tuple[int, Answers | Failure]]] = [[] for _ in keys]
        for k, (member, (data, fit)) in enumerate(zip(members, drawn, strict=True)):
            rows = [i for i in range(len(keys)) if counts[i][k]]
            if rows:
                some = fit._replace(points=[fit.points[i] for i in rows], **{
                    field: take(getattr(fit, field), rows) for field in fit._fields if field != "points"
                })  # fmt: skip
                replies = member.replies(own[k][rows], take(briefs, rows), take(data, rows), some)
                for i, reply in zip(rows, replies, strict=True):
                    parts[i].append((counts[i][k], reply))
        return [_of_parts(key, each) for key, each in zip(keys, parts, strict=True)]

    handles = frozenset.union(*map(handles_of, models))  # what one kind contains, the mixture does
    made = Backend(name, "1", {}, served(name, ask), block, everything, frozenset(tags), handles, precision)
    return of_the_nation(made)


def _of_parts(key: Array, parts: Sequence[tuple[int, Any]]) -> Answers | Failure:
    lost = [reply for _, reply in parts if isinstance(reply, Failure)]
    if lost or not parts:
        return lost[0] if lost else Failure("nonfinite", LOST)
    return mixed(key, parts)
