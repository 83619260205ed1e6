"""simbench: a benchmark for marketing mix models on worlds whose truth is known.

>>> import simbench as sb
>>> drawn = sb.draw("clean", replicates=2)

Everything heavy is imported on first use.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from simbench.errors import BadInput

if TYPE_CHECKING:
    from simbench.backends.base import Backend as Backend
    from simbench.backends.base import jax_backend as jax_backend
    from simbench.backends.base import python_backend as python_backend
    from simbench.backends.combine import first_ok as first_ok
    from simbench.backends.command import command_backend as command_backend
    from simbench.briefs import brief_from_table as brief_from_table
    from simbench.report.figures import ladder as ladder
    from simbench.report.frames import frame as frame
    from simbench.report.frames import scenarios as scenarios
    from simbench.report.frames import truth_frame as truth_frame
    from simbench.report.tables import compare as compare
    from simbench.report.tables import decisions as decisions
    from simbench.report.tables import table as table
    from simbench.run.execute import run as run
    from simbench.run.inspect import inspect as inspect
    from simbench.run.looping import loop as loop
    from simbench.run.results import scores as scores
    from simbench.run.scoring import score as score
    from simbench.tables import to_weeks as to_weeks
    from simbench.world.scenario import read_scenario as read_scenario
    from simbench.world.truth import draw as draw

    __version__: str

#: Public name -> the module that has it.
_HOMES = {
    "Backend": "backends.base",
    "brief_from_table": "briefs",
    "command_backend": "backends.command",
    "compare": "report.tables",
    "decisions": "report.tables",
    "draw": "world.truth",
    "first_ok": "backends.combine",
    "frame": "report.frames",
    "inspect": "run.inspect",
    "jax_backend": "backends.base",
    "ladder": "report.figures",
    "loop": "run.looping",
    "python_backend": "backends.base",
    "read_scenario": "world.scenario",
    "scenarios": "report.frames",
    "scores": "run.results",
    "table": "report.tables",
    "to_weeks": "tables",
    "truth_frame": "report.frames",
}

#: Rooms that can be called, as the public function of the same name: room -> where it is.
_CALLED = {"run": "run.execute", "score": "run.scoring"}

__all__ = [
    "Backend", "BadInput", "__version__", "brief_from_table", "command_backend", "compare", "decisions", "draw",
    "first_ok", "frame", "inspect", "jax_backend", "ladder", "loop", "python_backend", "read_scenario", "run",
    "scenarios", "score", "scores", "table", "to_weeks", "truth_frame",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("simbench")
        except PackageNotFoundError:  # a checkout that is not installed
            return "0+unknown"
    if name in _CALLED:
        return importlib.import_module(f"simbench.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'simbench' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"simbench.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Room(ModuleType):
    """A room that can be called: the import system puts it under the name of a public function."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        name = self.__name__.rpartition(".")[2]
        return getattr(importlib.import_module(f"simbench.{_CALLED[name]}"), name)(*arguments, **options)


class _Package(ModuleType):
    """Of this package: a room that comes in under the name of a function becomes callable."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _CALLED and isinstance(value, ModuleType):
            value.__class__ = _Room
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
