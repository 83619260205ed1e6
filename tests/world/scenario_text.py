"""A small scenario file and what tests do with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from simbench.errors import BadInput
from simbench.world.scenario import read_scenario

SMALL = """
schema_version = 1
name = "small"
breaks = ""
title = "A small one"

[time]
weeks = 60

[demand]
level = 100.0
trend = { kind = "linear", per_year = 0.02 }
season = { kind = "random", order = 4, amplitude = 0.2 }

[[demand.events]]
name = "sale"
dates = ["2021-06-01"]
lift = 0.3

[[controls]]
name = "price"
sd = 1.0
effect = -2

[[channels]]
name = "tv"
kind = "tv"
spend = { rule = "flighted", weekly = 10.0, cv = 0.2, on = 3, off = 2 }
carry_over = { kind = "geometric", retention = 0.5 }
saturation = { kind = "hill", half_at = 1.0, slope = 1.2 }
roas = { dist = "lognormal", median = 1.5, sigma = 0.4 }

[[channels]]
name = "search"
kind = "generic-search"
spend = { rule = "demand-capturing", weekly = 5.0, cv = 0.1, strength = 1.0, halo = 0.5 }
carry_over = { kind = "none" }
saturation = { kind = "exponential", half_at = 1.0 }
effect = 8.0

[noise]
kind = "gaussian"
share = 0.05
"""


def write(folder: Path, text: str, name: str = "small") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def child(folder: Path, text: str, base: str = "small", name: str = "child") -> Path:
    """A child of SMALL beside it."""
    if not (folder / "small.toml").exists():
        write(folder, SMALL)
    return write(folder, f'schema_version = 1\nname = "{name}"\nbase = "{base}"\nbreaks = ""\n{text}', name)


def replaced(old: str, new: str) -> str:
    assert SMALL.count(old) == 1, old
    return SMALL.replace(old, new)


def refused(path: Path | str) -> str:
    with pytest.raises(BadInput) as caught:
        read_scenario(path)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 1000
    return message
