"""What this machine has: versions, cores, limits, folders, the lock. Nothing is computed or written."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from importlib import metadata
from typing import NamedTuple

#: Distributions without which simbench does not run.
CORE = ("numpy", "scipy", "pandas", "jax", "jaxlib", "numpyro", "pydantic", "click", "rich")
#: Extra -> the distributions it brings.
EXTRAS = {
    "plot": ("matplotlib",),
    "test": ("pytest", "hypothesis", "pytest-benchmark", "pytest-xdist"),
    "dev": ("ruff", "mypy"),
}


class Finding(NamedTuple):
    """One line of the report; `ok` is False where something does not work."""

    name: str
    value: str
    ok: bool = True


def examine() -> list[Finding]:
    """Look at everything.

    Returns
    -------
    list of Finding
        Always the same names in the same order.
    """
    return [
        Finding("python", f"{platform.python_version()} ({platform.python_implementation()}), {sys.executable}"),
        Finding("simbench", version_of("simbench") or "not installed, running from a checkout"),
        *(Finding(name, version_of(name) or "missing", version_of(name) is not None) for name in CORE),
        Finding("platform", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        Finding("cores", str(os.cpu_count() or "unknown")),
        look("usable cores", usable_cores),
        look("memory limit", memory_limit),
        look("open files", open_files),
        look("scenarios", scenarios),
        look("compile cache", compile_cache),
        look("cache in CI", cached_paths),
        look("lock", lock),
        *(Finding(f"extra {name}", extra(parts)) for name, parts in EXTRAS.items()),
    ]


def look(name: str, question: Callable[[], str | None]) -> Finding:
    """Ask one question; None means that the system cannot say, a fault is told and not raised."""
    try:
        answer = question()
    except Exception as error:  # a report of what is broken must not break
        return Finding(name, f"broken: {type(error).__name__}: {error}", False)
    return Finding(name, f"skipped: {name} not on this system" if answer is None else answer)


def version_of(distribution: str) -> str | None:
    """Version of an installed distribution."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def usable_cores() -> str | None:
    """Cores this process may run on, where the system says."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    return str(len(os.sched_getaffinity(0)))


def memory_limit() -> str | None:
    """Limit on this process's memory, where the system says."""
    return _limit("RLIMIT_AS", 2**20, "MiB")


def open_files() -> str | None:
    """Limit on open files, where the system says."""
    return _limit("RLIMIT_NOFILE", 1, "")


def _limit(name: str, unit: int, word: str) -> str | None:
    try:
        import resource
    except ImportError:
        return None
    if not hasattr(resource, name):
        return None
    soft = resource.getrlimit(getattr(resource, name))[0]
    return "none" if soft == resource.RLIM_INFINITY else f"{soft // unit} {word}".rstrip()


def scenarios() -> str:
    """Where the shipped scenarios are, and how many."""
    from simbench.world.scenario import scenario_folder, scenario_names, suite_names

    return f"{len(scenario_names())} scenarios and {len(suite_names())} suites in {scenario_folder()}"


def compile_cache() -> str:
    """Where compiled programs are kept, and how much is there."""
    from simbench.run.hosts import compile_cache as folder

    path = folder()
    files = [entry for entry in path.iterdir() if entry.is_file()] if path.is_dir() else []
    size = sum(entry.stat().st_size for entry in files) / 2**20
    return f"{path} ({len(files)} files, {size:.0f} MiB)" if files else f"{path} (empty)"


def cached_paths() -> str:
    """The two folders that make a second run in CI quick: compiled programs, and the runs themselves."""
    from simbench.run.hosts import compile_cache as folder
    from simbench.run.results import RUNS

    return f"{folder()} and {RUNS.absolute()}"


def lock() -> str:
    """Whether the digests of the shipped scenarios are those of LOCK.json."""
    from simbench import lock as locks
    from simbench.errors import BadInput

    try:
        faults = locks.check(numbers=False)
    except BadInput as error:
        return f"not ok: {error}"
    return (
        f"ok: {locks.lock_path()}" if not faults else "not ok: " + "; ".join(f"{f.scenario} {f.detail}" for f in faults)
    )


def extra(parts: tuple[str, ...]) -> str:
    """Versions of what an extra brings, or what is missing."""
    found = {name: version_of(name) for name in parts}
    return ", ".join(f"{name} {version or 'missing'}" for name, version in found.items())
