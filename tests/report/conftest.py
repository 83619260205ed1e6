"""Worlds that every test of this folder looks at."""

from __future__ import annotations

from typing import Any

import pytest

from simbench.world.truth import draw


@pytest.fixture(scope="session")
def clean() -> Any:
    return draw("clean", 2)
