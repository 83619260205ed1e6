"""Runs: cells, blocks, and what comes of them.

The room can be called: ``simbench.run(...)`` is :func:`simbench.run.execute.run`, although the
import system puts the room under that name.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from simbench.run.execute import run

        return run(*arguments, **options)


sys.modules[__name__].__class__ = _Room
