"""simbench: a benchmark for marketing mix models on worlds whose truth is known.

>>> import simbench as sb
>>> drawn = sb.draw("clean", replicates=2)

Everything heavy is imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from simbench.errors import BadInput

if TYPE_CHECKING:
    from simbench.backends.base import Backend as Backend
    from simbench.backends.base import jax_backend as jax_backend
    from simbench.briefs import brief_from_table as brief_from_table
    from simbench.report.frames import frame as frame
    from simbench.report.frames import scenarios as scenarios
    from simbench.report.frames import truth_frame as truth_frame
    from simbench.run.execute import run as run
    from simbench.run.execute import scores as scores
    from simbench.run.execute import table as table
    from simbench.tables import to_weeks as to_weeks
    from simbench.world.scenario import read_scenario as read_scenario
    from simbench.world.truth import draw as draw

    __version__: str

#: Public name -> the module that has it.
_HOMES = {
    "Backend": "backends.base",
    "brief_from_table": "briefs",
    "draw": "world.truth",
    "frame": "report.frames",
    "jax_backend": "backends.base",
    "read_scenario": "world.scenario",
    "scenarios": "report.frames",
    "scores": "run.execute",
    "table": "run.execute",
    "to_weeks": "tables",
    "truth_frame": "report.frames",
}

__all__ = [
    "Backend", "BadInput", "__version__", "brief_from_table", "draw", "frame", "jax_backend", "read_scenario", "run",
    "scenarios", "scores", "table", "to_weeks", "truth_frame",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("simbench")
        except PackageNotFoundError:  # a checkout that is not installed
            return "0+unknown"
    if name == "run":  # the room, which can be called as the function it is named after
        return importlib.import_module("simbench.run")
    if name not in _HOMES:
        raise AttributeError(f"module 'simbench' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"simbench.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
