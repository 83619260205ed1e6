"""What is shipped works without the checkout: source archive -> wheel -> a run from another folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.slow


def run(*arguments: str, cwd: Path, **environment: str) -> str:
    """Standard output of a Python command; a failure shows what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source archive."""
    folder = tmp_path_factory.mktemp("source")
    run("-m", "hatchling", "build", "-t", "sdist", "-d", str(folder), cwd=ROOT)
    (archive,) = folder.glob("simbench-*.tar.gz")
    shutil.unpack_archive(archive, folder)
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel made from the source archive, not from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    run("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=source)
    (path,) = folder.glob("simbench-*.whl")
    return path


def files_under(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


def test_the_source_archive_has_everything(source: Path) -> None:
    for name in ("LICENSE", "README.md", "Makefile", "constraints.txt", ".ci/run", "docs/design.md"):
        assert (source / name).is_file(), name
    for folder in ("simbench", "scenarios", "tests"):
        assert files_under(source / folder) == files_under(ROOT / folder)


def test_the_wheel_has_the_package_and_the_scenarios(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for name in files_under(ROOT / "simbench"):
        assert f"simbench/{name}" in names
    for name in files_under(ROOT / "scenarios"):
        assert f"simbench/_scenarios/{name}" in names
    assert "simbench/py.typed" in names
    assert "simbench/_scenarios/clean.toml" in names
    assert any(name.startswith("simbench/_scenarios/suites/") and name.endswith(".toml") for name in names)
    inside = {name.split("/")[0] for name in names}
    assert inside == {"simbench", wheel.name.split("-py3")[0] + ".dist-info"}


def test_the_wheel_runs_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "target", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    where = run("-c", "import simbench; print(simbench.__file__)", cwd=elsewhere, PYTHONPATH=str(target))
    assert Path(where.strip()).is_relative_to(target)
    assert "clean" in run("-m", "simbench", "list", cwd=elsewhere, PYTHONPATH=str(target)).split()
