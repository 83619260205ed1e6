"""Settings of every test: a compile cache that a second run finds warm, and reproducible properties."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import jax

ROOT = Path(__file__).resolve().parent.parent

jax.config.update("jax_compilation_cache_dir", str(ROOT / ".cache" / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

# No deadline: the first example may compile. Derandomised: a commit passes or fails, it does not flicker.
hypothesis.settings.register_profile("simbench", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("wide", deadline=None, database=None, max_examples=1000)
hypothesis.settings.load_profile("simbench")
