"""The contender that knows the truth: it shows what is perfect, and what noise leaves to nobody.

Its answers are the truth itself; its forecast is drawn from fresh futures of the same world, so
that its holdout scores are the noise floor. Never asked, never ranked.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simbench.records import Answers, Brief, Truth
from simbench.world.truth import Drawn, fresh_futures

Array = Any
#: What the truth knows without any doubt.
KNOWN = (
    "contribution", "marginal", "curve", "impulse", "baseline", "contribution_geo", "plan_value", "response",
    "response_paid",
)  # fmt: skip


def oracle(drawn: Drawn, brief: Brief, truth: Truth) -> Answers:
    """Answers [R, 1, ...] of the truth about a drawn batch; the forecast [R, D, H, G] has all draws.

    A field with one draw beside others with many is the same in each of them.
    """

    def certain(x: Array) -> Array:
        return np.asarray(x)[:, None]

    told: Any = truth.answers
    known: dict[str, Any] = {
        name: tuple(map(certain, value)) if isinstance(value, tuple) else certain(value)
        for name in KNOWN
        if (value := getattr(told, name)) is not None
    }
    return Answers(
        **known,
        forecast=np.asarray(fresh_futures(drawn, brief.questions.sizes.draws)),
        allocation=tuple(np.asarray(best.amounts) for best in truth.optima),
        promise=tuple(certain(best.value) for best in truth.optima),
    )
