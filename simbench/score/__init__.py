"""How good it was: pure arrays to rows.

A metric looks at many cells of one shape and gives columns (:mod:`~simbench.score.rows`); one file
a family. What follows from the columns of many worlds is in :mod:`~simbench.score.statistics`,
:mod:`~simbench.score.headlines` and :mod:`~simbench.score.comparison`. Every score: docs/scores.md.
"""

from __future__ import annotations

from simbench.score.calibration import CALIBRATION
from simbench.score.cost import COST
from simbench.score.decision import DECISION
from simbench.score.diagnostics import DIAGNOSTICS
from simbench.score.forecast import HOLDOUT
from simbench.score.recovery import RECOVERY
from simbench.score.rows import Metric

#: Every family of scores that a run computes.
METRICS: tuple[Metric, ...] = (RECOVERY, CALIBRATION, HOLDOUT, DECISION, COST, DIAGNOSTICS)
