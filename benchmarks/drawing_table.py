"""Drawing every scenario of a suite with full truth: worlds a second on one core, and peak memory.

``python benchmarks/drawing_table.py [SUITE [REPLICATES]]`` writes benchmarks/drawing.md anew. Each scenario is drawn in
a process of its own, pinned to one core, as many side by side as there are cores: once to compile (programs are kept on
disk as everywhere), then timed in seconds of that core, which others on the machine do not change much.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

PAGE = Path(__file__).with_name("drawing.md")
ROUNDS = 3


def measured(name: str, replicates: int, core: int) -> dict[str, float]:
    """Core seconds of a draw and of the first one, and peak memory of this process."""
    from simbench.run.hosts import prepare_process
    from simbench.world.truth import draw

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    prepare_process()
    seconds = []
    for turn in range(1 + ROUNDS):
        start = time.process_time()
        draw(name, range(turn * replicates, (turn + 1) * replicates))
        seconds.append(time.process_time() - start)
        if turn and sum(seconds[1:]) > 30:
            break
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"first": seconds[0], "seconds": statistics.median(seconds[1:]), "memory": memory}


def row(name: str, replicates: int, free: SimpleQueue[int]) -> dict[str, float]:
    """The same in a fresh process, so that memory is that of one scenario, on a core that is free."""
    core = free.get()
    command = [sys.executable, __file__, "--one", name, str(replicates), str(core)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    free.put(core)
    print(name, told.strip(), file=sys.stderr, flush=True)
    return dict(json.loads(told))


def page(rows: dict[str, dict[str, float]], geos: dict[str, int], suite: str, replicates: int) -> str:
    """The table as Markdown, slowest last, with the figures that there are aims for."""
    rate = {name: replicates / each["seconds"] for name, each in rows.items()}
    national = [name for name in rows if geos[name] == 1]
    slow = [name for name in national if rate[name] < rate["clean"] / 20]
    lines = [
        f"# Drawing every scenario of `{suite}` with full truth",
        "",
        f"{replicates} replicates each, in seconds of one core, median of {ROUNDS} draws after the first one;"
        f" written by `python benchmarks/drawing_table.py {suite} {replicates}`.",
        "",
        f"* Median over {len(national)} national worlds: {statistics.median(rate[n] for n in national):,.0f} worlds a"
        " second (aim 500).",
        f"* National worlds more than 20 times slower than `clean` ({rate['clean']:,.0f} a second):"
        f" {', '.join(slow) or 'none'}.",
        f"* `geo-20`: {rate['geo-20']:,.1f} (aim 20). Most memory: {max(r['memory'] for r in rows.values()):,.0f} MB.",
        "",
        "| scenario | geos | worlds a second | first call less one, s | peak memory, MB |",
        "|---|---|---|---|---|",
    ]
    for name in sorted(rows, key=lambda n: -rate[n]):
        each = rows[name]
        more = each["first"] - each["seconds"]
        lines.append(f"| {name} | {geos[name]} | {rate[name]:,.1f} | {more:.1f} | {each['memory']:,.0f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure a suite, or with ``--one`` a scenario."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measured(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
        return
    from simbench.run.hosts import cores
    from simbench.world.scenario import read_suite

    suite, replicates = (sys.argv[1:] + ["full", "100"][len(sys.argv) - 1 :])[:2]
    geos = {entry.name: entry.scenario.geo.count for entry in read_suite(suite).scenarios}
    free: SimpleQueue[int] = SimpleQueue()
    for core in cores():
        free.put(core)
    with ThreadPoolExecutor(len(cores())) as pool:
        rows = dict(zip(geos, pool.map(lambda name: row(name, int(replicates), free), geos), strict=True))
    PAGE.write_text(page(rows, geos, suite, int(replicates)), encoding="utf-8")


if __name__ == "__main__":
    main()
