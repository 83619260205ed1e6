"""Settings of every test: one thread, a compile cache that a second run finds warm, reproducible properties."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import jax
import pytest

from simbench.blocks import make_room

ROOT = Path(__file__).resolve().parent.parent

# XLA's own pool: LAPACK under vmap has hung with several threads. Cores stay free: hosts choose theirs among them.
os.environ["NPROC"] = "1"
jax.config.update("jax_compilation_cache_dir", str(ROOT / ".cache" / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

# No deadline: the first example may compile. Derandomised: a commit passes or fails, it does not flicker.
hypothesis.settings.register_profile("simbench", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("wide", deadline=None, database=None, max_examples=1000)
hypothesis.settings.load_profile("simbench")


@pytest.fixture(autouse=True)
def few_mappings():
    """Programs are forgotten before there are too many of them."""
    yield
    make_room()
