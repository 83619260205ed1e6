"""The models as programs of NumPyro with nothing integrated out: what the collapsed density is held against."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from simbench.backends.bayes import prior as priors
from simbench.backends.bayes.data import Data
from simbench.backends.bayes.density import known_mean, media_of, noise_of, prior_of, sizes
from simbench.backends.bayes.model import Model

Array = Any


def full(model: Model, data: Data) -> None:
    """A model function of NumPyro.

    Sites are the parameters by name; where the model is collapsed also ``plain`` [G, p], coefficients of the
    axes of the plain columns, and ``block`` [G, K], those of the block of media if it has one: both standard
    normal. Observed: ``kpi`` [G, M], its unseen weeks masked.
    """
    import numpyro
    import numpyro.distributions as d

    def standard(name: str, *shape: int) -> Array:
        return numpyro.sample(name, d.Normal(0.0, 1.0).expand(shape).to_event(len(shape)))

    number = sizes(model, data)
    parameters = {
        each.name: numpyro.sample(
            each.name, priors.distribution(prior_of(each, data)).expand((number[each.per],)).to_event(1)
        )
        for each in model.parameters
    }
    media = media_of(model, parameters, data)
    mean = known_mean(model, parameters, data, media)
    if model.collapsed:
        plain = jnp.sqrt(data.size) * standard("plain", *data.size.shape)
        mean = mean + jnp.einsum("gmp,gp->gm", data.basis, plain)
        if media.block.shape[1]:
            mean = mean + jnp.einsum("gkm,gk->gm", media.block, standard("block", *media.block.shape[:2]))
    noise = noise_of(model, parameters, data)[:, None]
    student = model.noise == "student"
    error = d.StudentT(parameters["freedom"][0], mean, noise) if student else d.Normal(mean, noise)
    numpyro.sample("kpi", error.mask(data.seen > 0).to_event(2), obs=data.kpi)


def points(model: Model, sites: dict[str, Array], data: Data) -> Array:
    """The points z [..., n] of draws of the sites, each [..., k]."""
    parts = []
    for each in model.parameters:
        prior = prior_of(each, data)
        parts.append(priors.KINDS[prior.kind].point(sites[each.name], *prior.numbers))
    return jnp.concatenate(parts, axis=-1)
