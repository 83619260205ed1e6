"""Answered curves with draws, and the problems they belong to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simbench import briefs, optimum
from simbench.decide.readings import Curves
from simbench.records import Answers, Brief, Context, Form, Problem, Questions


class Made(NamedTuple):
    problem: Problem
    curves: Curves
    worth: np.ndarray


def made(
    seed: int,
    worlds: int = 2,
    units: int = 3,
    draws: int = 40,
    fixed: bool = True,
    paid: bool = False,
    slope: float = 1,
) -> Made:
    """Random Hill curves around one another; concave where `slope` is at most 1."""
    rng = np.random.default_rng(seed)
    quo = rng.uniform(50, 150, (worlds, units))
    total = quo.sum(axis=1)
    levels = 2 * quo[..., None] * (np.arange(15) / 14) ** 2
    budget = np.stack([total, total] if fixed else [0 * total, 2 * total], axis=1)
    none = np.zeros((worlds, 1, 1, 1, units))
    problem = Problem(
        none[:, 0], none[:, None].astype(int), none[:, None], quo, levels, 0 * quo, 2 * quo, budget,
        np.zeros((worlds, 0, units)), np.zeros((worlds, 0)), np.zeros((worlds, 0)), np.full(worlds, 0.5), Form(True),
    )  # fmt: skip
    shape = (worlds, draws, units, 1)
    half = quo[:, None, :, None] * np.exp(0.3 * rng.standard_normal(shape))
    height = 3 * quo[:, None, :, None] * np.exp(0.5 * rng.standard_normal(shape))
    x = levels[:, None] ** slope
    kpi = height * x / (x + half**slope)
    money = levels[:, None] * rng.uniform(0.6, 1.0, shape) if paid else None
    return Made(problem, Curves(kpi, money), rng.uniform(1.0, 2.0, worlds))


def drawn_of(one: Made) -> optimum.Drawn:
    return optimum.drawn(one.problem.levels, *one.curves, one.worth)


def asked_of(problem: Problem, curves: Curves, worth: np.ndarray) -> tuple[Brief, Answers]:
    """One world's brief and answers that hold a problem and its curves, all else left out."""
    questions = Questions(*[None] * len(Questions._fields))._replace(
        problems=(briefs.one(problem, 0),), margin=worth[0]
    )
    context = Context(*[None] * len(Context._fields))._replace(unit_value=np.ones(()))
    paid = None if curves.paid is None else (curves.paid[0],)
    return Brief(panel=None, questions=questions, context=context), Answers(
        response=(curves.kpi[0],), response_paid=paid
    )
