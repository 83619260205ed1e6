"""The engine hmc against NumPyro's sampler, in float32 as it is shipped: the cut of benchmarks/evidence/referee.py.

Three small panels; the national model against NUTS on the collapsed density, the robust one, nothing of which can be
integrated out, against the whole model as NumPyro has it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import worlds

from benchmarks.evidence import referee
from simbench.backends.bayes.nuts import Sampler
from simbench.world.truth import draw

PANELS, WARMUP, SAMPLES = 3, 300, 400


@cache
def panels():
    """A year of two channels."""
    with TemporaryDirectory() as folder:
        return list(draw(worlds.written(Path(folder), worlds.plain(weeks=52)), PANELS, truth=False).briefs)


@cache
def told(name):
    """Summaries by the engine and by its referee."""
    engine = referee.by_engine(name, "hmc")(panels())
    if name == "robust":
        other = referee.in_full(name, Sampler(4, WARMUP, SAMPLES, 0.8))(panels())
    else:
        other = referee.by_engine(name, "nuts", (("warmup", WARMUP), ("samples", SAMPLES)))(panels())
    return [x.summary for x in engine], [x.summary for x in other]


def verdict(own, other):
    """The size of z of the worst panel's mean, sd of all z, and the log ratio of posterior sds.

    Quantities of one panel hang together: at worst their mean is one standard normal number, so that of three
    panels exceeds 3.5 once in seven hundred; the sd of z lies between .3 and 1.8 for all but a few in a thousand.
    """
    z = [referee.z_scores(a, b) for a, b in zip(own, other, strict=True)]
    every = np.concatenate(z)
    ratio = referee.errors(own, other).spread
    return max(abs(x.mean()) for x in z), np.sqrt((every**2).mean()), ratio


def agrees(own, other):
    worst, size, ratio = verdict(own, other)
    # sds are known within 5% each; a tenth is what 24 of them may be off together where tails are long
    return worst < 3.5 and 0.3 < size < 1.8 and abs(ratio) < 0.15


@pytest.mark.parametrize("name", ["national", "robust"])
def test_hmc_agrees_with_its_referee(name):
    own, other = told(name)
    assert agrees(own, other), verdict(own, other)


@pytest.mark.parametrize("name", ["national", "robust"])
def test_a_halved_spread_or_a_mean_off_by_half_an_sd_is_told(name):
    """What is planted is not missed: else the test above would say nothing."""
    own, other = told(name)
    assert not agrees([x._replace(sd=x.sd / 2) for x in own], other)
    assert not agrees([x._replace(mean=x.mean + x.sd / 2) for x in own], other)
