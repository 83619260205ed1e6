"""Speed of the closed loop: 64 replicates, 12 quarters, two host processes. Run with ``make bench``.

Aim: under 5 minutes with the fast Bayesian engine on two cores. Compilation is part of it: hosts start
anew, and take what is in the cache on disk.
"""

from __future__ import annotations

import resource
import time

import pytest

from simbench.run.looping import DEFAULT, loop

REPLICATES, QUARTERS = 64, 12


@pytest.mark.parametrize(
    ("policies", "model"),
    [
        (("oracle", "status-quo", "greedy"), "national-laplace"),
        (DEFAULT, "national-laplace"),
        (("oracle", "status-quo", "greedy"), "national-hmc"),
    ],
    ids=["greedy on laplace", "all policies on laplace", "greedy on hmc"],
)
def test_loop(benchmark, tmp_path, policies, model) -> None:
    began = time.perf_counter()
    benchmark.pedantic(
        lambda: loop("loop-steady", policies, model, replicates=REPLICATES, quarters=QUARTERS, store=tmp_path), rounds=1
    )
    fits = REPLICATES * (
        1 + QUARTERS * sum("model" in p or p in ("greedy", "thompson", "greedy-with-test") for p in policies)
    )
    benchmark.extra_info["seconds"] = time.perf_counter() - began
    benchmark.extra_info["fits"] = fits + REPLICATES * len(policies)
    benchmark.extra_info["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
