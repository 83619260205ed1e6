"""The best amounts, and proof that none are better: arrays and callables in, arrays out.

`separable` for sums of curves (certified), `joint` for a value with a concave majorant (certified where
the two meet), `general` and, for many worlds side by side, `ascend` for everything else (searched),
`allocate` for answered curves; `drawn`, `read`, `gains`, `safest` and `perfect` for their draws; `project`,
`infeasible` and `random_feasible` for the constraints alone.
"""

from __future__ import annotations

from simbench.optimum.ascent import ascend
from simbench.optimum.curves import allocate, pchip_cells
from simbench.optimum.draws import Drawn, drawn, gains, perfect, read, safest
from simbench.optimum.feasible import (
    Constraints,
    checked,
    constraints_of,
    far_off,
    infeasible,
    one_world,
    project,
    take,
    unit_words,
)
from simbench.optimum.joint import Smooth, joint
from simbench.optimum.records import METHODS, Solution
from simbench.optimum.relax import Cells, Evaluate
from simbench.optimum.sample import random_feasible
from simbench.optimum.separable import separable
from simbench.optimum.starts import apart, general

__all__ = [
    "METHODS",
    "Cells",
    "Constraints",
    "Drawn",
    "Evaluate",
    "Smooth",
    "Solution",
    "allocate",
    "apart",
    "ascend",
    "checked",
    "constraints_of",
    "drawn",
    "far_off",
    "gains",
    "general",
    "infeasible",
    "joint",
    "one_world",
    "pchip_cells",
    "perfect",
    "project",
    "random_feasible",
    "read",
    "safest",
    "separable",
    "take",
    "unit_words",
]
