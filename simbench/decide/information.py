"""What it would be worth to know more before deciding: everything, or the result of one experiment.

Pure functions on arrays: what each action is worth in each equally likely draw; and of one contender's
answers, what testing each unit is worth. Source: Raiffa and Schlaifer 1961.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from simbench import optimum
from simbench.briefs import stack
from simbench.decide.readings import curves_of, thinned, worth
from simbench.errors import BadInput
from simbench.optimum import constraints_of
from simbench.records import Answers, Brief

Array = Any
#: Results of an experiment that are told apart, and how far beyond the draws they reach, in standard errors.
RESULTS, REACH = 256, 5.0
#: Draws that tests are valued with, errors that a test may have, and results after which money is moved anew.
DRAWS, NOISES, MOVES = 256, 32, 24


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
    money = _checked(value)
    return np.maximum(money.max(axis=-1).mean(axis=-1) - money.mean(axis=-2).max(axis=-1), 0.0)


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
    money, truth = _checked(value), np.asarray(effect, dtype=np.float64)
    error = np.asarray(standard_error, dtype=np.float64)
    if truth.shape != money.shape[:-1] or not np.isfinite(truth).all():
        raise BadInput(
            "effect", f"has shape {truth.shape} or is not finite", f"one finite number a draw, {money.shape[:-1]}"
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
    after = chance @ money / money.shape[-2]  # [..., Y, A] probability of y times the mean given y
    return np.maximum(after.max(axis=-1).sum(axis=-1) - money.mean(axis=-2).max(axis=-1), 0.0)


def experiments(brief: Brief, answers: Answers, standard_error: ArrayLike, problem: int = 0) -> NDArray[np.float64]:
    """Expected value of testing each unit before money is moved, by a contender's own draws.

    A test tells what the unit's status quo brings over the horizon against nothing, all others held, with
    a standard error (:func:`experiment`); one of a unit without room tells nothing. What is done after it is
    the best of 25 decisions: that of no test, and the best amounts on the mean curves after each of 24 results,
    from the least to the most that may be told. So a little is left out, and nothing is counted that cannot be had.

    Parameters
    ----------
    brief : Brief
        Of one world.
    answers : Answers
        One contender's, with draws of the problem's curves.
    standard_error : float or array [U]
        KPI units; above 0.
    problem : int
        Which allocation problem.

    Returns
    -------
    array [U]
        Money over the horizon; 0 where draws do not differ. What a test costs is not taken off.

    Raises
    ------
    BadInput
        Answers without curves of the problem, or a standard error that is not positive.
    """
    asked = stack([brief])
    one = asked.questions.problems[problem]
    curves = curves_of(one, stack([answers]), problem)
    if curves is None:
        raise BadInput("answers", f"have no curves of problem {problem}", "response [D, U, L] of a problem with curves")
    units, used = one.status_quo.shape[1], thinned(curves.kpi.shape[1], DRAWS)
    error = np.broadcast_to(np.asarray(standard_error, np.float64), (units,))
    if not (np.isfinite(error) & (error > 0)).all():
        raise BadInput("standard_error", f"is {standard_error!r}", f"positive KPI units, one or {units}")
    kpi, paid = curves.kpi[:, used], None if curves.paid is None else curves.paid[:, used]
    levels, money, row = one.levels, worth(asked), np.zeros(1, int)

    sold = optimum.drawn(levels, kpi, np.zeros_like(kpi), 1.0)
    now, never = (optimum.read(sold, row, x)[0][0] for x in (one.status_quo, 0.0 * one.status_quo))
    effect = now - never  # [U, D]
    # a result that moves money may lie beyond every draw of the effect, if the test is vague
    noise = error[:, None, None] * ndtri((np.arange(NOISES) + 0.5) / NOISES)
    may_be = (effect[..., None] + noise).reshape(units, -1)
    result = np.quantile(may_be, np.linspace(0.0, 1.0, MOVES), axis=1).T[..., None]  # [U, Y, 1]
    off = -0.5 * ((result - effect[:, None]) / error[:, None, None]) ** 2  # log density [U, Y, D]
    weight = np.exp(off - off.max(axis=-1, keepdims=True)).reshape(-1, len(used))
    weight = np.concatenate([np.ones((1, len(used))), weight])  # [1 + U Y, D]
    weight /= weight.sum(axis=1, keepdims=True)

    def after(part: Array) -> NDArray[np.float64]:  # mean curves [1 + U Y, U, L]
        return np.einsum("ad,dul->aul", weight, part[0])

    each = np.zeros(len(weight), int)
    limits = optimum.take(constraints_of(one), each)
    amounts = optimum.allocate(
        levels[each], after(kpi), None if paid is None else after(paid), np.repeat(money, len(each)), limits
    )
    value = optimum.read(optimum.drawn(levels, kpi, paid, money), each, amounts)[0].sum(axis=1)  # [1 + U Y, D]
    moved = value[1:].reshape(units, MOVES, -1)
    choices = np.concatenate([np.broadcast_to(value[0], (units, 1, len(used))), moved], axis=1)
    return experiment(np.swapaxes(choices, 1, 2), effect, error)


def _checked(value: ArrayLike) -> NDArray[np.float64]:
    money = np.asarray(value, dtype=np.float64)
    if money.ndim < 2 or 0 in money.shape[-2:] or not np.isfinite(money).all():
        raise BadInput("value", f"has shape {money.shape} or is not finite", "finite money [..., draws, actions]")
    return money
