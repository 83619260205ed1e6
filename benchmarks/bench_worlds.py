"""Speed of the generator: panels and worlds with full truth a second, on one core.

Run with ``make bench``. One core: the process pins itself where the system can. Compile time is
measured apart (first call less the second), peak memory is the process's own.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time

import pytest

from simbench.world import truth, worth
from simbench.world.forms import form_of
from simbench.world.scenario import read_scenario

REPLICATES = 128
FEW = 32


@pytest.fixture(scope="module", autouse=True)
def one_core():
    """Pin to one core for these figures."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    yield
    os.sched_setaffinity(0, before)


def noted(benchmark, scenario, replicates, full):
    """Draw once to compile, then time; note rates beside the timing."""
    first = time.perf_counter()
    truth.draw(scenario, replicates, truth=full)
    first = time.perf_counter() - first
    benchmark.pedantic(truth.draw, args=(scenario, replicates), kwargs={"truth": full}, rounds=5, warmup_rounds=1)
    seconds = benchmark.stats.stats.median
    benchmark.extra_info |= {
        "worlds a second": round(replicates / seconds, 1),
        "milliseconds a world": round(1000 * seconds / replicates, 3),
        "first call less one, seconds": round(first - seconds, 2),
        "peak memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


@pytest.mark.parametrize("scenario", ["clean", "chasing", "confounded-search", "geo-20"])
def test_panels(benchmark, scenario):
    noted(benchmark, read_scenario(scenario), REPLICATES, full=False)


@pytest.mark.parametrize("scenario", ["clean", "s-shaped", "chasing"])
def test_full_truth(benchmark, scenario):
    noted(benchmark, read_scenario(scenario), REPLICATES, full=True)


@pytest.mark.parametrize("scenario", ["confounded-search", "geo-20"])
def test_full_truth_of_slow_worlds(benchmark, scenario):
    noted(benchmark, read_scenario(scenario), FEW, full=True)


@pytest.mark.parametrize("part", ["draw", "history"])
@pytest.mark.parametrize("scenario", ["clean", "confounded-search", "chasing"])
def test_compile_seconds_of_a_program(benchmark, scenario, part):
    """Cold compile of one program, without any cache."""
    import jax

    point = read_scenario(scenario)
    drawn = truth.draw(point, 2, truth=False)
    form, brief = form_of(point), drawn.brief

    def cold():
        jax.clear_caches()
        with jax.enable_x64(True):
            if part == "draw":
                noise = jax.tree.map(lambda x: x, drawn.secret.noise)
                truth.draw_program.__wrapped__(form).lower(noise, form.weeks).compile()
            else:
                truth.history_program.__wrapped__(form).lower(
                    drawn.secret.start, brief.panel.lever, brief.questions, brief.context
                ).compile()

    enabled = jax.config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        benchmark.pedantic(cold, rounds=1)
    finally:
        jax.config.update("jax_enable_compilation_cache", enabled)


@pytest.mark.parametrize("command", [["-c", "import simbench"], ["-m", "simbench", "--help"]], ids=["import", "help"])
def test_start(benchmark, command):
    benchmark.pedantic(
        subprocess.run,
        args=([sys.executable, *command],),
        kwargs={"check": True, "capture_output": True},
        rounds=7,
        warmup_rounds=1,
    )


def test_plans_valued_where_spend_follows_demand(benchmark):
    drawn = truth.draw(read_scenario("confounded-search"), 16, truth=False)
    book, problem = truth.book_in(drawn.secret, drawn.brief), drawn.brief.questions.problems[0]
    benchmark.pedantic(worth.value, args=(book, problem, problem.status_quo), rounds=5, warmup_rounds=1)
