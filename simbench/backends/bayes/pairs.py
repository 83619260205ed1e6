"""Contenders: any model with any engine, each pair under a name of its own."""

from __future__ import annotations

from typing import Any, NamedTuple

from simbench.backends.base import Backend
from simbench.backends.bayes.engine import Engine
from simbench.backends.bayes.fit import bayes_backend
from simbench.backends.bayes.models import MODELS
from simbench.backends.contender import Contender, Option

PRECISION = Option("precision", "float32", "arithmetic of the fit and of the answers", choices=("float32", "float64"))


class Way(NamedTuple):
    """An engine as it is listed."""

    title: str
    options: tuple[Option, ...]
    block: int  #: cells a call
    lanes: int  #: worlds side by side in one program
    tags: tuple[str, ...]


WAYS: dict[str, Way] = {
    "hmc": Way(
        "by Hamiltonian Monte Carlo of fixed length, many worlds at once",
        (
            Option("chains", 4, "independent chains", "chains", low=2, high=64),
            Option("warmup", 100, "steps of each chain that adapt and are thrown away", "steps", low=20),
            Option("samples", 250, "steps of each chain that are kept, a round", "steps", low=10),
            Option("rounds", 4, "rounds at most, until R-hat and effective draws are good enough", low=1, high=100),
            Option("ess", 400.0, "effective draws of every return that are enough", "draws", low=1.0),
            Option("leapfrogs", 5, "steps of a trajectory", "steps", low=1, high=1000),
            Option("accept", 0.8, "acceptance that the step size is adapted to", low=0.5, high=0.99),
            PRECISION,
        ),
        32, 8, ("native", "bayesian", "fast"),
    ),
    "laplace": Way(
        "by importance sampling around the mode, many worlds at once",
        (
            Option("pool", 2048, "points that are weighted", "draws", low=100, high=1_000_000),
            Option("strict", False, "a k-hat above 0.7 is a failure, so that first_ok asks the next"),
            PRECISION,
        ),
        32, 8, ("native", "bayesian", "fast"),
    ),
    "nuts": Way(
        "by the no-U-turn sampler of NumPyro",
        (
            Option("chains", 4, "independent chains", "chains", low=1, high=64),
            Option("warmup", 250, "steps of each chain that adapt and are thrown away", "steps", low=20),
            Option("samples", 250, "steps of each chain that are kept", "steps", low=4),
            Option("target_accept", 0.8, "acceptance aimed at", source="Stan", low=0.5, high=0.999),
        ),
        1, 1, ("native", "bayesian"),
    ),
}  # fmt: skip


def engine_of(way: str, **options: Any) -> Engine:
    """An engine of its options."""
    if way == "hmc":
        from simbench.backends.bayes.hmc import Tuning, hmc

        return hmc(Tuning(**options))
    if way == "laplace":
        from simbench.backends.bayes.laplace import laplace

        return laplace(**options)
    from simbench.backends.bayes.nuts import Sampler, nuts

    return nuts(Sampler(**options))


def pair(model: str, way: str, name: str = "") -> Contender:
    """The contender of a model and an engine."""
    entry, own = MODELS[model], WAYS[way]
    name = name or f"{model}-{way}"

    def make(**options: Any) -> Backend:
        chosen = {option.name: options[option.name] for option in own.options}
        precision, strict = chosen.pop("precision", "float64"), chosen.pop("strict", False)
        made = entry.make(**{option.name: options[option.name] for option in entry.options})
        # many geos fill the cache alone
        lanes = 1 if made.geos else own.lanes
        return bayes_backend(
            name, made, engine_of(way, **chosen), block=own.block, lanes=lanes, precision=precision, strict=strict,
            supports=entry.supports, tags=own.tags, handles=entry.handles,
        )  # fmt: skip

    return Contender(name, f"{entry.title}; {own.title}", make, (*own.options, *entry.options), entry.source, entry.answers)


def __getattr__(name: str) -> Contender:
    """The contender of a pair by its name in capitals, such as ``NATIONAL_HMC``."""
    for model in MODELS:
        for way in WAYS:
            if name == f"{model}-{way}".replace("-", "_").upper():
                return pair(model, way)
    raise AttributeError(name)
