"""What the framework itself costs: a trivial contender, ten thousand cells; and finding all of them done.

Worlds are drawn before the clock starts: they are the subject of bench_worlds.py.
"""

from __future__ import annotations

import worlds

import simbench as sb

CELLS = 10_000
TRIVIAL = """
import numpy as np

def trivial(key, brief):
    return {"contribution": np.zeros((1, len(brief.questions.windows), len(brief.context.kind)))}
"""


def test_overhead_and_resume(benchmark, tmp_path):
    """Seconds for 10,000 cells asked, stored and scored, and for the same command once more."""
    import time

    file = tmp_path / "trivial.py"
    file.write_text(TRIVIAL)
    world = worlds.written(tmp_path, worlds.plain())
    drawn = sb.run(world, [f"{file}:trivial@draws"], replicates=CELLS, store=tmp_path / "r")

    def whole():
        return sb.run(world, [f"{file}:trivial@timed"], replicates=CELLS, store=tmp_path / "r")

    benchmark.pedantic(whole, rounds=1, iterations=1)
    benchmark.extra_info["ms a cell"] = 1000 * benchmark.stats.stats.mean / CELLS
    began = time.perf_counter()
    run = whole()
    benchmark.extra_info["resume of 10,000 cells, s"] = time.perf_counter() - began
    began = time.perf_counter()
    frame = sb.scores(run)
    benchmark.extra_info["reading all scores, s"] = time.perf_counter() - began
    benchmark.extra_info["rows"] = len(frame)
    assert frame.replicate.nunique() == CELLS and (frame.status != "failed").all()
    assert len(drawn.sources[0].replicates) == CELLS
