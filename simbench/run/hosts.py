"""Settings of the process that computes: where compiled programs are kept between runs.

Called by verbs that compute, never at import: a library that is imported must not change JAX.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from simbench import ids


def user_cache() -> Path:
    """The folder for caches of this user and platform."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    # the standard says: a relative path is to be ignored
    given = os.environ.get("XDG_CACHE_HOME", "")
    return Path(given) if os.path.isabs(given) else Path.home() / ".cache"


def cpu_flags() -> str:
    """What the processor can do; a program compiled for another one must not be loaded."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features")))
    return " ".join(sorted(next(named, "").split()))


def compile_cache() -> Path:
    """Where compiled programs are kept: one folder a processor and JAX version."""
    versions = {name: metadata.version(name) for name in ("jax", "jaxlib")}
    host = {"flags": cpu_flags(), "machine": platform.machine(), **versions}
    return user_cache() / "simbench" / "jax" / ids.digest(host)[:16]


def prepare_process() -> Path | None:
    """Keep compiled programs on disk, so that a second run starts in seconds.

    Returns
    -------
    Path or None
        The folder in use: one that was already set stays; None where none can be written.
    """
    import jax

    settings: Any = jax.config  # its attributes are made at run time
    if settings.jax_compilation_cache_dir:
        return Path(settings.jax_compilation_cache_dir)
    try:
        folder = compile_cache()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # no home, or a read-only one: everything works, only slower
        return None
    settings.update("jax_compilation_cache_dir", str(folder))
    settings.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    settings.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder
