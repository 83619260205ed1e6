"""The national model before it has seen any KPI but its mean: what a fit must beat."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax

from simbench.backends import national
from simbench.backends.base import Backend, jax_backend
from simbench.backends.contender import Contender
from simbench.records import Answers, Brief

Array = Any


def prior_only(priors: national.Priors, key: Array, brief: Brief) -> Answers:
    """Draws of the prior, asked everything a posterior is asked; the forecast is the prior predictive."""
    data = national.data_of(brief, priors)
    prior_key, noise_key = jax.random.split(key)
    draws = national.prior_draws(prior_key, data, priors, brief.questions.sizes.draws)
    return national.answers_of(noise_key, draws, data, brief)


def _made(**numbers: Any) -> Backend:
    author = partial(prior_only, national.Priors(**numbers))
    # one world after the other: two of them side by side leave the cache and take twice as long each
    return jax_backend("prior-only", author, block=1, together=False, handles=national.HANDLES)


PRIOR_ONLY = Contender(
    "prior-only",
    "the national Bayesian model without looking at the KPI: a reference, not a rival",
    _made,
    options=national.OPTIONS,
    source="docs/models.md",
    answers="everything but contributions by geo",
)
