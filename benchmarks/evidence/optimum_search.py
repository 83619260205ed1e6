"""Is the certified optimum right? An independent search looks for better amounts: into docs/optimum.md.

    python -m benchmarks.evidence.optimum_search [--seconds 60] [--shared]

The search (`tests/oracle/search.py`) and all values (`tests/oracle`) share no code with what they check. One core,
63 problems one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from statistics import median

from benchmarks.evidence import common

sys.path.insert(0, str(common.ROOT / "tests"))

from optimum_cases import SECOND, Case, case_of, cases_of, faults
from oracle import search
from oracle.random_scenarios import RECORDED, random_scenario, recorded_csv

from simbench.world.scenario import Scenario, read_scenario

PAGE = common.ROOT / "docs" / "optimum.md"
KEPT = common.ROOT / ".cache"
#: (kind of the table, kind of the oracle, units, seeds).
SUMS = (
    ("concave", "concave", 5, 1), ("concave", "concave", 20, 1),
    ("Hill slopes above 1", "S-shaped", 5, 2), ("Hill slopes above 1", "S-shaped", 8, 1),
    ("Hill slopes above 1, 20 units", "S-shaped", 20, 3),
    ("logistic", "logistic", 6, 2), ("logistic", "logistic", 20, 1),
    ("groups: brand at least 40%, shares of tiers", "groups", 6, 2),
    ("groups: brand at least 40%, shares of tiers", "groups", 10, 1),
    ("shares of the plan, total free", "shares of the plan", 6, 2),
    ("shares of the plan, total free", "shares of the plan", 20, 1),
    ("free total", "free total", 6, 1), ("free total", "free total", 20, 1),
    ("tight boxes", "tight boxes", 8, 2),
    ("ties: equal S-shaped units", "ties", 8, 1), ("ties: equal S-shaped units", "ties", 20, 1),
    ("geos x channels", "geos", 12, 1), ("geos x channels", "geos", 21, 1),
    ("useless and harmful channels", "useless or harmful channels", 6, 2),
    ("answered curves: noisy, not monotone", "answered curves", 5, 1),
    ("answered curves: noisy, not monotone", "answered curves", 10, 1),
    ("answered curves: noisy, not monotone", "answered curves", 20, 1),
)  # fmt: skip
#: (kind of the table, scenario or seed of a random one, replicate, which problems, first future).
WORLDS = (
    ("world: `clean`", "clean", 0, slice(1), SECOND),
    ("world: `s-shaped`", "s-shaped", 1, slice(2), SECOND),
    ("world: `conversions` (a group)", "conversions", 2, slice(-1, None), SECOND),
    ("world: `harmful-channel`", "harmful-channel", 0, slice(2), SECOND),
    ("world: `brand-stock`", "brand-stock", 1, slice(2), SECOND),
    ("world: `hidden-price` (promotions)", "hidden-price", 1, slice(2), SECOND),
    ("world: `geo-20`, 100 units", "geo-20", 1, slice(-1, None), SECOND),
    ("world: `synergy`", "synergy", 0, slice(2), SECOND),
    ("world: `antagonism`", "antagonism", 1, slice(2), SECOND),
    ("world: bought channels", "confounded-search", 0, slice(2), SECOND),
    ("world: bought channels", 3, 0, slice(1), SECOND),
    ("world: bought channels", 4, 1, slice(1), SECOND),
    ("the same, on the futures it was found on", "confounded-search", 0, slice(2), 0),
    ("the same, on the futures it was found on", 3, 0, slice(1), 0),
    ("the same, on the futures it was found on", 4, 1, slice(1), 0),
)  # fmt: skip
#: Units that share levers: the same fields.
SHARED = (
    ("amounts by quarter", "decisions-pacing", 0, slice(1, 2), SECOND),
    ("amounts by quarter", "decisions-pacing", 1, slice(1, 2), SECOND),
    ("steady or pulsed, concave", "decisions-pacing", 0, slice(2, 3), SECOND),
    ("steady or pulsed, concave", "decisions-pacing", 1, slice(2, 3), SECOND),
    *(("steady or pulsed, thresholds", "decisions-pulsing", replicate, slice(1, 2), SECOND) for replicate in range(6)),
)
HEAD = [
    "kind", "problems", "certified", "largest excess of the search", "smallest margin of the bound", "largest gap",
    "gap / gain", "plans valued a problem",
]  # fmt: skip


def world(name: str | int) -> Scenario:
    """A shipped scenario, or the random one of a seed."""
    if isinstance(name, str):
        return read_scenario(name)
    folder = common.ROOT / ".cache" / f"random-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "world.toml").write_text(random_scenario(name))
    (folder / RECORDED).write_text(recorded_csv(name))
    return read_scenario(folder / "world.toml")


def cases(shared: bool) -> Iterator[tuple[str, Case]]:
    """Every problem under its kind: those whose units share levers, or the others."""
    for kind, name, units, seeds in () if shared else SUMS:
        yield from ((kind, case_of(name, units, seed)) for seed in range(seeds))
    for kind, name, replicate, which, first in SHARED if shared else WORLDS:
        yield from ((kind, case) for case in cases_of(world(name), replicate, first)[which])


def row(case: Case, seconds: float) -> dict[str, float | str | list[str]]:
    """What a search of so many seconds finds; shares of the money at stake."""
    found = search.evolved(case.value, case.room, 1, generations=400, seconds=seconds, population=100)
    return {
        "name": case.name, "certified": float(case.certified), "method": case.method, "plans": found.plans,
        "excess": (found.value - case.best) / case.money, "margin": (case.bound - found.value) / case.money,
        "gap": (case.bound - case.best) / case.money, "of gain": (case.bound - case.best) / max(case.gain, 1e-300),
        "faults": faults(case, found),
    }  # fmt: skip


def line(kind: str, rows: list[dict]) -> list[str]:
    """A kind's row of the table."""

    def number(x: float) -> str:
        return "none" if x == float("inf") else f"{x:.1e}"

    return [
        kind, str(len(rows)), f"{sum(r['certified'] for r in rows):.0f}", number(max(r["excess"] for r in rows)),
        number(min(r["margin"] for r in rows)), number(max(r["gap"] for r in rows)),
        number(max(r["of gain"] for r in rows)), f"{median(r['plans'] for r in rows):,.0f}",
    ]  # fmt: skip


def main() -> None:
    """Search every problem, then write the table."""
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--seconds", type=float, default=60.0, help="of search a problem")
    ask.add_argument("--shared", action="store_true", help="only problems whose units share levers; a table of its own")
    told = ask.parse_args()
    seconds, shared = told.seconds, told.shared
    part = "shared" if shared else "search"
    os.environ["OMP_NUM_THREADS"] = "1"
    common.settings()
    KEPT.mkdir(exist_ok=True)
    start, rows = time.process_time(), {}
    for kind, case in cases(shared):
        rows.setdefault(kind, []).append(row(case, seconds))
        print(f"{time.process_time() - start:7.0f} s", kind, rows[kind][-1], flush=True)
        (KEPT / f"optimum_{part}.json").write_text(json.dumps(rows, indent=1))
    wrong = [fault for told in rows.values() for each in told for fault in each["faults"]]
    command = f"python -m benchmarks.evidence.optimum_search --seconds {seconds:g}" + " --shared" * shared
    text = common.told(command, time.process_time() - start)
    text += common.table(HEAD, [line(kind, told) for kind, told in rows.items()])
    total = sum(len(told) for told in rows.values())
    text += f"\n{total} problems; {len(wrong) or 'none'} of them against the law above.\n"
    common.written(part, text + "".join(f"* {fault}\n" for fault in wrong), PAGE)


if __name__ == "__main__":
    main()
