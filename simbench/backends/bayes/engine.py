"""What an engine is: pure functions of a log density, in stages that are compiled once a shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from simbench.backends.bayes.mode import LogDensity
from simbench.backends.traced import known

Array = Any


@known
class Draws(NamedTuple):
    """What a stage brings: points of chains, or of one pool, and how it went."""

    points: Array  #: [chains, samples, n]
    divergences: Array  #: []
    khat: Array  #: [] of importance weights; NaN for chains
    ess: Array  #: [] effective draws of a pool; NaN for chains: it is worked out from the points


class Engine(NamedTuple):
    """`begin` once, then `advance` until a world has enough, at most `rounds` times.

    Both are pure and traceable; a state is a pytree of arrays, so worlds that need more go on in company
    of others that do.
    """

    name: str
    begin: Callable[[LogDensity, int, Array, Any], Any]  #: (log density, n, key, dtype) -> state
    advance: Callable[[LogDensity, Any], tuple[Any, Draws]]  #: (log density, state) -> (state, draws)
    options: Any  #: what tells it from others of its name, by `repr`
    rounds: int = 1
    ess: float = 0.0  #: effective draws of every return that are enough
    together: bool = True  #: worlds side by side; if not, one after the other
    exact: bool = True  #: its draws come from the posterior itself once it has converged
