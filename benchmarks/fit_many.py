"""What many fits cost in one process on one core: ``python fit_many.py BACKEND FIRST COUNT OUTPUT.json``.

Panels are those of peers/standard.py, `speed_panel(seed)`, seeds FIRST to FIRST + COUNT - 1. The first call, on one
panel, is timed apart: it traces and compiles, or reads what was kept of that. Then all panels are fitted and answered.
A line with "ready" is printed before, and one of input awaited, so that several processes start together.
"""

from __future__ import annotations

import json
import os
import sys
import time

BEGAN = time.perf_counter()
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["NPROC"] = "1"

import resource  # noqa: E402
from pathlib import Path  # noqa: E402

import jax  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks" / "peers"))

import standard  # noqa: E402

from simbench.backends import traced  # noqa: E402
from simbench.backends.bayes import fit, pairs  # noqa: E402
from simbench.backends.bayes.models import MODELS  # noqa: E402
from simbench.backends.registry import backend_named, split  # noqa: E402
from simbench.blocks import in_blocks  # noqa: E402
from simbench.briefs import brief_from_table, stack  # noqa: E402
from simbench.records import Failure  # noqa: E402

CACHE = os.environ.get("SIMBENCH_CACHE", str(ROOT / ".cache" / "jax"))
jax.config.update("jax_compilation_cache_dir", CACHE)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
traced.keep_in(Path(CACHE) / "traced")  # as the hosts of a run do


def brief_of(seed: int):
    """The brief of a panel, and its true returns."""
    panel = standard.speed_panel(seed)
    table = pd.DataFrame(panel["spend"]).add_prefix("spend_").assign(date=standard.dates(panel), kpi=panel["kpi"])
    spend = list(table.columns[:5])
    for k in range(2):
        table[f"control_{k}"] = np.array(panel["controls"])[:, k]
    brief, _ = brief_from_table(table, date="date", kpi="kpi", spend=spend, controls=["control_0", "control_1"])
    return brief, np.array(panel["true_roas"])


def sizes(name: str, keys: np.ndarray, briefs: list) -> np.ndarray:
    """Effective draws of the return with the fewest, of each panel: the same fit once more, not timed."""
    who, _, _ = split(name)
    model, way = next((m, w) for m in MODELS for w in pairs.WAYS if who == f"{m}-{w}")
    backend, contender = backend_named(name), pairs.pair(model, way)
    own = {option.name for option in pairs.WAYS[way].options} - {"precision", "strict"}
    engine = pairs.engine_of(way, **{k: v for k, v in backend.config.items() if k in own})
    made = MODELS[model].make(**{o.name: backend.config[o.name] for o in MODELS[model].options})
    stages, precision = fit.programs(made, engine), backend.config.get("precision", "float64")
    assert contender.name == who
    data = in_blocks(stages.data, (stack(briefs),), pairs.WAYS[way].lanes, precision)
    return fit.fitted(stages, engine, keys, data, pairs.WAYS[way].lanes, precision).ess_return


def main(name: str, first: str, count: str, target: str) -> None:
    """Fit, time, and write what it took."""
    cases = [brief_of(seed) for seed in range(int(first), int(first) + int(count))]
    briefs, true = [case[0] for case in cases], np.stack([case[1] for case in cases])
    keys = np.stack([np.array([11, i], np.uint32) for i in range(len(briefs))])
    backend = backend_named(name)
    imported = time.perf_counter()
    backend.answer(briefs[:1], keys[:1])
    ready = time.perf_counter()
    backend.answer(briefs[: backend.block], keys[: backend.block])  # every shape has been seen once
    print("ready", flush=True)
    sys.stdin.readline()
    start, work = time.perf_counter(), time.process_time()
    replies = []
    for i in range(0, len(briefs), backend.block):
        replies += backend.answer(briefs[i : i + backend.block], keys[i : i + backend.block])
    done, worked = time.perf_counter(), time.process_time()
    fine = [reply for reply in replies if not isinstance(reply, Failure)]
    told = [reply.diagnostics for reply in fine]
    spend = np.stack([brief.panel.spend.sum(axis=(0, 1)) for brief in briefs])
    roas = np.stack([reply.contribution[:, 0].mean(axis=0) for reply in fine]) / spend[: len(fine)]
    content = {
        "name": name,
        "fits": len(fine),
        "failures": len(replies) - len(fine),
        "seconds": {
            "import": imported - BEGAN, "first answer": ready - imported, "all": done - start, "cpu": worked - work,
        },
        "converged": float(np.mean([each.converged for each in told])),
        "rhat": [float(each.rhat_max) for each in told],
        "khat": [float(each.khat_max) for each in told],
        "return ess": [float(x) for x in sizes(name, keys, briefs)] if "auto" not in name else [],
        "median relative error of returns": float(np.median(np.abs(roas / true[: len(fine)] - 1.0))),
        "peak memory, GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }  # fmt: skip
    Path(target).write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
