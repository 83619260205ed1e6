"""Contenders: any model with any engine, each pair under a name of its own."""

from __future__ import annotations

from itertools import combinations
from typing import Any, NamedTuple

from simbench.backends.base import Backend
from simbench.backends.bayes.engine import Engine
from simbench.backends.bayes.fit import bayes_backend, prior_backend
from simbench.backends.bayes.models import MODELS
from simbench.backends.contender import Contender, Option

PRECISION = Option("precision", "float32", "arithmetic of the fit and of the answers", choices=("float32", "float64"))

#: Cells a call of models by geo.
BY_GEO = 2


class Way(NamedTuple):
    """An engine as it is listed."""

    title: str
    options: tuple[Option, ...]
    block: int  #: cells a call
    lanes: int  #: worlds side by side in one program
    fast: tuple[str, ...]  #: models that a run asks unless told otherwise, by this way


WAYS: dict[str, Way] = {
    "hmc": Way(
        "by Hamiltonian Monte Carlo of fixed length, many worlds at once",
        (
            Option("chains", 4, "independent chains", "chains", low=2, high=64),
            Option("warmup", 100, "steps of each chain that adapt and are thrown away", "steps", low=20),
            Option("samples", 150, "steps of each chain that are kept, a round", "steps", low=10),
            Option("rounds", 3, "rounds at most, until R-hat and effective draws are good enough", low=1, high=100),
            Option("ess", 400.0, "effective draws of every return that are enough", "draws", low=1.0),
            Option("leapfrogs", 6, "steps of a trajectory", "steps", low=1, high=1000),
            Option("longer", 10, "steps of every second trajectory after the warm-up", "steps", low=1, high=1000),
            Option("accept", 0.8, "acceptance that the step size is adapted to", low=0.5, high=0.99),
            PRECISION,
        ),
        32, 8, tuple(MODELS),
    ),
    "laplace": Way(
        "by importance sampling around the mode, many worlds at once",
        (
            Option("pool", 2048, "points that are weighted", "draws", low=100, high=1_000_000),
            Option("strict", False, "a k-hat above 0.7 is a failure, so that first_ok asks the next"),
            PRECISION,
        ),
        32, 8, ("national",),
    ),
    "nuts": Way(
        "by the no-U-turn sampler of NumPyro",
        (
            Option("chains", 4, "independent chains", "chains", low=1, high=64),
            Option("warmup", 250, "steps of each chain that adapt and are thrown away", "steps", low=20),
            Option("samples", 250, "steps of each chain that are kept", "steps", low=4),
            Option("target_accept", 0.8, "acceptance aimed at", source="Stan", low=0.5, high=0.999),
        ),
        1, 1, (),
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
    usual = dict(entry.usual)
    settings = tuple(option._replace(default=usual.get(option.name, option.default)) for option in own.options)
    name = name or f"{model}-{way}"

    def make(**options: Any) -> Backend:
        chosen = {option.name: options[option.name] for option in own.options}
        precision, strict = chosen.pop("precision", "float64"), chosen.pop("strict", False)
        made = entry.make(**{option.name: options[option.name] for option in entry.options})
        # many geos fill the cache alone, and take seconds: hosts share what they ask about
        lanes, block = (1, min(BY_GEO, own.block)) if made.geos else (own.lanes, own.block)
        tags = ("native", "bayesian", *(("fast",) if model in own.fast else ()))
        return bayes_backend(
            name, made, engine_of(way, **chosen), block=block, lanes=lanes, precision=precision, strict=strict,
            supports=entry.supports, tags=tags,
        )  # fmt: skip

    return Contender(
        name, f"{entry.title}; {own.title}", make, (*settings, *entry.options), entry.source, entry.answers
    )


def _prior_only(precision: str, **options: Any) -> Backend:
    model = MODELS["national"]
    return prior_backend("prior-only", model.make(**options), block=8, precision=precision)


#: Kinds that are averaged over.
CARRY_OVERS = ("geometric", "delayed", "weibull-pdf", "weibull-cdf")
CURVES = ("hill", "logistic", "exponential")


def averaged(way: str) -> Contender:
    """The contender of the national model with every kind of carry-over and saturation, by an engine."""
    from simbench.backends.bayes.averaged import averaged_backend

    own, entry = WAYS[way], MODELS["national"]
    options = tuple(option for option in own.options if option.name != "strict")
    numbers = tuple(option for option in entry.options if option.name not in ("carry_over", "curve"))

    def make(carry_overs: str, curves: str, **chosen: Any) -> Backend:
        kinds = [(kind, curve) for kind in carry_overs.split("+") for curve in curves.split("+")]
        inner = {option.name: chosen[option.name] for option in numbers}
        models = [entry.make(carry_over=kind, curve=curve, **inner) for kind, curve in kinds]
        settings = {option.name: chosen[option.name] for option in options}
        precision = settings.pop("precision")
        return averaged_backend(
            f"averaged-{way}", models, engine_of(way, **settings), block=own.block, lanes=own.lanes,
            precision=precision, tags=("native", "bayesian"),
        )  # fmt: skip

    def several(name: str, kinds: tuple[str, ...], meaning: str) -> Option:
        return Option(name, "+".join(kinds), meaning, choices=tuple("+".join(some) for some in _some_of(kinds)))

    return Contender(
        f"averaged-{way}",
        f"the national model with {len(CARRY_OVERS) * len(CURVES)} kinds of carry-over and saturation, stacked; "
        + own.title,
        make,
        (*options, several("carry_overs", CARRY_OVERS, "kinds of carry-over"),
         several("curves", CURVES, "kinds of saturation"), *numbers),
        "docs/models.md; Yao and others 2018", entry.answers,
    )  # fmt: skip


def _some_of(kinds: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Every choice of one kind or more, in their order."""
    return [some for size in range(1, len(kinds) + 1) for some in combinations(kinds, size)]


def _national_auto(**options: Any) -> Backend:
    # combine knows the registry, which knows this module
    from simbench.backends.combine import first_ok
    from simbench.backends.contender import configured

    def member(way: str, **more: Any) -> Backend:
        known = {option.name for option in (*WAYS[way].options, *MODELS["national"].options)}
        return configured(pair("national", way), {k: v for k, v in options.items() if k in known} | more)

    made = first_ok(member("laplace", strict=True), member("hmc"))
    return made._replace(tags=made.tags - {"fast"})


PRIOR_ONLY = Contender(
    "prior-only",
    "the national Bayesian model without looking at the KPI: a reference, not a rival",
    _prior_only,
    (PRECISION, *MODELS["national"].options),
    MODELS["national"].source,
    MODELS["national"].answers,
)
NATIONAL_AUTO = Contender(
    "national-auto",
    "the national Bayesian model: importance sampling around the mode where k-hat trusts it, else by chains",
    _national_auto,
    (
        *(option for option in WAYS["laplace"].options if option.name == "pool"),
        *WAYS["hmc"].options,
        *MODELS["national"].options,
    ),
    MODELS["national"].source,
    MODELS["national"].answers,
)
NUMPYRO_NUTS = pair("national", "nuts", "numpyro-nuts")


def __getattr__(name: str) -> Contender:
    """The contender of a pair by its name in capitals, such as ``NATIONAL_HMC``."""
    for way in WAYS:
        if name == constant("averaged", way):
            return averaged(way)
        for model in MODELS:
            if name == constant(model, way):
                return pair(model, way)
    raise AttributeError(name)


def constant(model: str, way: str) -> str:
    """The name under which a pair is found in this module."""
    return f"{model}-{way}".replace("-", "_").upper()
