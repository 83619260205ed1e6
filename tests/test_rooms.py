"""The rooms of docs/design.md, section 2: who may import whom, read from the source."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "simbench"

WORLD = {
    "records", "ids", "transforms", "estimands", "optimum", "briefs", "brief_changes", "problems", "tables", "blocks",
}  # fmt: skip
BACKENDS = {"records", "ids", "transforms", "estimands", "briefs", "blocks", "protocol"}
DECIDE = {
    "records", "ids", "optimum", "briefs", "blocks", "backends.base", "backends.contender", "backends.registry",
    "world.base", "world.truth", "world.living", "world.scenario",
}  # fmt: skip
PARTS = {"errors", "codec", "protocol", *WORLD, "world", "backends", "decide", "score", "run", "report", "lock"}

#: Room -> the only rooms (or modules of rooms) it may import. Every room may import itself and `errors`.
#: "" is `simbench/__init__.py`, the public functions.
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "tables": set(),
    "records": set(),
    "codec": {"records"},
    "ids": {"records"},
    "transforms": set(),
    "blocks": set(),
    "optimum": {"records"},
    "problems": {"records"},
    "briefs": {"records", "ids", "problems", "tables"},
    "brief_changes": {"records", "briefs"},
    "estimands": {"records", "briefs"},
    "world": WORLD,
    "protocol": {"records", "ids", "optimum", "problems", "briefs", "tables", "codec", "backends.replies"},
    "client": set(),
    "backends": BACKENDS,
    "decide": DECIDE,
    "score": {"records", "ids"},
    "lock": {"world"},
    "doctor": {"lock", "world.scenario", "run.hosts", "run.results"},
    "run": PARTS,
    "report": PARTS,
    "": PARTS,
    "cli": {*PARTS, "doctor", ""},
    "__main__": {"cli"},
}

#: Imported on first use only: each costs a noticeable part of a second.
HEAVY = ("jax", "jaxlib", "numpyro", "pandas", "scipy.stats", "scipy.optimize", "matplotlib")


def module_files(package: Path) -> dict[str, Path]:
    """Dotted name inside the package -> file; a package goes by its own name, the root by ""."""
    files = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


def join(*names: str) -> str:
    return ".".join(name for name in names if name)


def imported_names(node: ast.AST, package: str) -> Iterator[tuple[str, str]]:
    """(module, name) pairs that a node imports; `package` is the dotted name relative imports start from."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, ""
    elif isinstance(node, ast.ImportFrom):
        base = ""
        if node.level:
            parents = package.split(".")
            base = ".".join(parents[: len(parents) - node.level + 1])
        for alias in node.names:
            yield join(base, node.module or ""), alias.name
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
            name = node.args[0].value
            yield (package + name if name.startswith(".") else name), ""


def wrong_imports(package: Path, rooms: dict[str, set[str]]) -> list[str]:
    """One line for every import the table does not allow, and for every room without a line in it."""
    top, files, faults = package.name, module_files(package), []
    for module, path in files.items():
        room = module.split(".")[0]
        if room not in rooms:
            faults.append(f"{module}: room {room!r} is not in the table")
            continue
        allowed = {room, "errors", *rooms[room]}
        here = join(top, module if path.name == "__init__.py" else module.rpartition(".")[0])
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for source, name in imported_names(node, here):
                if source.split(".")[0] != top:
                    continue
                target = source[len(top) + 1 :]
                if join(target, name) in files:  # `from simbench import ids` means the module, not the root
                    target = join(target, name)
                if not any(target == door or (door and target.startswith(door + ".")) for door in allowed):
                    faults.append(f"{module}:{node.lineno} imports {join(top, target)}")
    return faults


def test_every_import_is_allowed() -> None:
    assert wrong_imports(PACKAGE, ROOMS) == []


@pytest.mark.parametrize(
    ("module", "line", "caught"),
    [
        ("backends/ridge.py", "from simbench.world import truth", "simbench.world.truth"),
        ("backends/ridge.py", "from simbench.world.truth import draw", "simbench.world.truth"),
        ("backends/ridge.py", "import simbench.world.base as base", "simbench.world.base"),
        ("backends/ridge.py", "from ..world import base", "simbench.world.base"),
        ("backends/ridge.py", "def late():\n    from simbench import world", "simbench.world"),
        ("backends/ridge.py", "importlib.import_module('simbench.world.base')", "simbench.world.base"),
        ("backends/ridge.py", "from simbench import draw", "simbench"),
        ("decide/loop.py", "from simbench.backends.naive import seasonal_naive", "simbench.backends.naive"),
        ("decide/loop.py", "from simbench.world import demand", "simbench.world.demand"),
        ("records.py", "from simbench.ids import digest", "simbench.ids"),
        ("records.py", "from .ids import digest", "simbench.ids"),
        ("score/metrics.py", "from simbench.world.truth import draw", "simbench.world.truth"),
    ],
)  # fmt: skip
def test_a_wrong_import_is_caught(tmp_path: Path, module: str, line: str, caught: str) -> None:
    package = fake_package(tmp_path)
    (package / module).write_text(line + "\n")
    faults = wrong_imports(package, ROOMS)
    assert len(faults) == 1 and faults[0].endswith(f"imports {caught}")


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("decide/loop.py", "from simbench.backends import base"),
        ("decide/loop.py", "from simbench.backends.base import Backend"),
        ("decide/loop.py", "from ..world import truth"),
        ("decide/loop.py", "from . import policies"),
        ("world/demand.py", "from simbench.world import base"),
        ("world/demand.py", "from simbench import transforms\nimport jax.numpy as jnp"),
        ("records.py", "from simbench.errors import BadInput"),
        ("cli.py", "import simbench as sb\nfrom simbench.world.truth import draw"),
    ],
)
def test_an_allowed_import_passes(tmp_path: Path, module: str, line: str) -> None:
    package = fake_package(tmp_path)
    (package / module).write_text(line + "\n")
    assert wrong_imports(package, ROOMS) == []


def test_a_room_without_a_line_is_caught(tmp_path: Path) -> None:
    package = fake_package(tmp_path)
    (package / "utilities.py").write_text("")
    assert wrong_imports(package, ROOMS) == ["utilities: room 'utilities' is not in the table"]


def fake_package(folder: Path) -> Path:
    """Empty files under the names the planted imports speak of."""
    package = folder / "simbench"
    for name in (
        "__init__.py", "errors.py", "records.py", "ids.py", "transforms.py", "cli.py",
        "world/__init__.py", "world/base.py", "world/truth.py", "world/demand.py",
        "backends/__init__.py", "backends/base.py", "backends/ridge.py",
        "decide/__init__.py", "decide/loop.py", "decide/policies.py", "score/metrics.py",
    ):  # fmt: skip
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("")
    return package


@pytest.mark.parametrize(
    "program",
    [
        "import simbench",
        "import sys; sys.argv = ['simbench', '--help']\n"
        "try:\n    from simbench.cli import main; main()\nexcept SystemExit as end:\n    assert not end.code",
    ],
    ids=["import", "help"],
)
def test_heavy_libraries_wait_for_first_use(program: str) -> None:
    check = f"\nimport sys\nprint('loaded:', *[name for name in {HEAVY!r} if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program + check], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"
