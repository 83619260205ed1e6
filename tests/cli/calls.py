"""The command line called in this process, and a small run that many tests read and none changes."""

from __future__ import annotations

import json
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import worlds
from click.testing import CliRunner, Result

from simbench.cli import main
from simbench.run import execute

NATIVE = ("oracle", "ols", "spend-share", "seasonal-naive", "prior-only")
MINE = '''
import numpy as np

def mine(key, brief):
    """Every channel is credited with what was spent on it."""
    spend = np.asarray(brief.context.spend_scale) * float(np.asarray(brief.panel.mask).sum())
    return {"contribution": np.tile(spend, (1, len(brief.questions.windows), 1)) * FACTOR}
'''
#: A log and a fault with what a terminal would obey, and what a printing library would read as markup.
FAILS = '''
def fails(key, brief):
    """Nobody's answer."""
    print("before \\x1b]0;title\\x07 [red]red[/red] :smile:")
    print("    indented")
    raise ValueError("no idea [bold]at all")
'''


class Small(NamedTuple):
    """A run of the plain world, three replicates: what was typed and what was printed."""

    folder: Path
    arguments: tuple[str, ...]  #: of ``run``, without ``--json``
    text: str
    code: int


def call(*arguments: str | Path) -> Result:
    """A verb, whatever it says."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def printed(*arguments: str | Path) -> str:
    """What a verb prints that succeeds."""
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def told(*arguments: str | Path, code: int = 0) -> dict[str, Any]:
    """What a verb prints with ``--json``: nothing but valid JSON, no NaN."""
    result = call(*arguments, "--json")
    assert result.exit_code == code, result.output
    answer = json.loads(result.stdout, parse_constant=no_constant)
    assert answer["schema_version"] == 1
    return answer


def no_constant(word: str) -> None:
    """JSON has no NaN and no Infinity."""
    raise AssertionError(f"{word} is no JSON")


def refused(*arguments: str | Path, code: int = 2) -> str:
    """The one line on stderr of a call that must fail and print nothing else."""
    result = call(*arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == "" and result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: ")
    return result.stderr


def backend_file(folder: Path, text: str = MINE, factor: float = 1.0) -> Path:
    """A file with a contender of one's own."""
    folder.mkdir(exist_ok=True)
    file = folder / "mine.py"
    file.write_text(text.replace("FACTOR", repr(factor)))
    return file


@lru_cache(maxsize=1)
def small_run(base: Path) -> Small:
    """The run, made once a process below pytest's folder."""
    place = base / "small-run"
    place.mkdir()
    world, mine = worlds.written(place, worlds.plain()), backend_file(place)
    backends = [word for name in (*NATIVE, f"{mine}:mine@main") for word in ("--backend", name)]
    arguments = ("run", str(world), "--replicates", "3", "--store", str(place / "kept"), "--jobs", "1", *backends)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(execute, "PATIENCE", 1e9)  # one block a contender, however slow the machine
        result = call(*arguments)
    return Small(place / "kept", arguments, result.stdout, result.exit_code)


def copied(small: Small, folder: Path) -> Path:
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(small.folder, folder / "run"))


def blocks(folder: Path) -> dict[str, int]:
    """Stored blocks and when they were written."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in sorted(folder.rglob("*.npz"))}


def damage(file: Path) -> None:
    """Another bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def widest(text: str) -> int:
    """Columns that a text takes."""
    return max(map(len, text.splitlines()), default=0)
