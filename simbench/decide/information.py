"""What it would be worth to know more before deciding: everything, or the result of one experiment.

Pure functions on arrays: what each action is worth in each equally likely draw. Source: Raiffa and
Schlaifer 1961.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simbench.errors import BadInput

Array = Any
#: Results of an experiment that are told apart, and how far beyond the draws they reach, in standard errors.
RESULTS, REACH = 256, 5.0


def perfect_information(value: ArrayLike) -> NDArray[np.float64]:
    """Expected value of perfect information: ``E[max_a value] - max_a E[value]``.

    Parameters
    ----------
    value : array [..., D, A]
        Money that each of A actions is worth in each of D equally likely draws.

    Returns
    -------
    array [...]
        Money, never below 0; 0 where one action is the best in every draw.

    Raises
    ------
    BadInput
        Values that are not [..., D, A], or not finite.
    """
    worth = _checked(value)
    return np.maximum(worth.max(axis=-1).mean(axis=-1) - worth.mean(axis=-2).max(axis=-1), 0.0)


def experiment(value: ArrayLike, effect: ArrayLike, standard_error: ArrayLike) -> NDArray[np.float64]:
    """Expected value of the sample information of an experiment: ``E_y[max_a E[value | y]] - max_a E[value]``.

    The experiment tells ``y = effect + standard error x z``, z standard normal. What is believed after
    a result y are the same draws, weighed by the density of y in each (importance sampling): no model
    is fitted again. Results are told apart on 256 evenly spaced places; as this is an experiment too,
    a coarser one, what is told lies between 0 and the value of perfect information for any draws.

    Parameters
    ----------
    value : array [..., D, A]
        Money that each of A actions is worth in each of D equally likely draws.
    effect : array [..., D]
        What the experiment measures, in each draw: the total effect of one channel, say.
    standard_error : array [...]
        Of the measurement, in the unit of `effect`; above 0.

    Returns
    -------
    array [...]
        Money. What the experiment costs is not taken off.

    Raises
    ------
    BadInput
        Shapes that do not fit, numbers that are not finite, or a standard error that is not above 0.
    """
    worth, truth = _checked(value), np.asarray(effect, dtype=np.float64)
    error = np.asarray(standard_error, dtype=np.float64)
    if truth.shape != worth.shape[:-1] or not np.isfinite(truth).all():
        raise BadInput(
            "effect", f"has shape {truth.shape} or is not finite", f"one finite number a draw, {worth.shape[:-1]}"
        )
    if error.shape != truth.shape[:-1] or not (np.isfinite(error) & (error > 0)).all():
        raise BadInput("standard_error", f"is {standard_error!r}", "a positive number for each experiment")
    beyond = REACH * error[..., None]
    places = np.linspace(0.0, 1.0, RESULTS)
    low, high = truth.min(axis=-1, keepdims=True) - beyond, truth.max(axis=-1, keepdims=True) + beyond
    result = low + (high - low) * places
    off = (result[..., :, None] - truth[..., None, :]) / error[..., None, None]
    chance = -0.5 * off**2  # log density [..., Y, D]; the nearest place of each draw keeps it from vanishing
    chance = np.exp(chance - chance.max(axis=-2, keepdims=True))
    chance /= chance.sum(axis=-2, keepdims=True)
    after = chance @ worth / worth.shape[-2]  # [..., Y, A] probability of y times the mean given y
    return np.maximum(after.max(axis=-1).sum(axis=-1) - worth.mean(axis=-2).max(axis=-1), 0.0)


def _checked(value: ArrayLike) -> NDArray[np.float64]:
    worth = np.asarray(value, dtype=np.float64)
    if worth.ndim < 2 or 0 in worth.shape[-2:] or not np.isfinite(worth).all():
        raise BadInput("value", f"has shape {worth.shape} or is not finite", "finite money [..., draws, actions]")
    return worth
