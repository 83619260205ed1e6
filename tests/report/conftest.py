"""Worlds that every test of this folder looks at."""

from __future__ import annotations

from typing import Any

import pytest

from simbench.world.scenario_measure import Claims, KpiTrackingLoss, Missing, Unit
from simbench.world.truth import draw


@pytest.fixture(scope="session")
def clean() -> Any:
    return draw("clean", 2)


@pytest.fixture(scope="session")
def dirty(clean: Any) -> Any:
    """The same worlds, seen through dirt."""
    steps = (
        Unit(kind="unit", name="thousands", factor=0.001, channels=("tv",)),
        KpiTrackingLoss(kind="kpi-tracking-loss", name="loss", week=100, share=0.4),
        Missing(kind="missing", name="gaps", share=0.2),
        Claims(kind="claims", name="platforms", coverage=0.9, weeks=4, channels=("paid-social",)),
    )
    return draw(clean.scenario.model_copy(update={"measure": steps}), 2)
