"""What engines and priors cost on a suite, from a finished run of it: into docs/engines.md.

    simbench run core --replicates 50 --backend tag:fast --store RUN
    simbench run core --replicates 5 --backend numpyro-nuts --backend national-hmc --store REFEREE
    python -m benchmarks.evidence.core RUN --referee REFEREE

Nothing is fitted here. Differences are paired: over the same worlds.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import simbench as sb
from benchmarks.evidence import common
from simbench.run.results import opened

#: Score -> estimand, unit, metric.
SCORES = {
    "contribution error": ("contribution", "all", "error"),
    "interval score 90%": ("contribution", "all", "interval score 90%"),
    "coverage 90%": ("contribution", "all", "coverage 90%"),
    "holdout CRPS": ("forecast", "all", "crps"),
    "regret, fixed total": ("decision", "problem:0", "regret"),
    "regret, free total": ("decision", "problem:1", "regret"),
}
REFERENCE = "national-hmc"
HEAD = ["contender less national-hmc", "worlds", *SCORES]


def differences(run: Any, name: str) -> list[str]:
    """A row: what a contender has more than the reference, ± half of a 95% interval; bold where that is not 0."""
    told = sb.compare(run, name, REFERENCE).set_index(["estimand", "unit", "metric"])
    cells = []
    for key in SCORES.values():
        row = told.loc[key] if key in told.index else None
        if row is None:
            cells.append("-")
            continue
        text = f"{row.difference:+.3f} ± {(row.high - row.low) / 2:.3f}"
        cells.append(f"**{text}**" if row.low * row.high > 0 else text)
    return [name, f"{int(told.cells.max())}", *cells]


def seconds(run: Any) -> list[list[str]]:
    """Rows: seconds a world by contender, worlds by geo apart, and all of them."""
    frame = sb.scores(run)
    frame = frame[(frame.estimand == "cost") & (frame.metric == "seconds") & (frame.status == "ok")]
    by_geo = frame.scenario.str.startswith("geo-")
    total = frame.groupby("backend").value.sum().sort_values(ascending=False)
    rows = []
    for name, value in total.items():
        own = frame.backend == name
        apart = [frame[own & by_geo].value.mean(), frame[own & ~by_geo].value.mean()]
        rows.append([str(name), *("-" if x != x else f"{x:.3g}" for x in apart), f"{value:.0f}"])
    return [*rows, ["all", "", "", f"{total.sum():.0f}"]]


def main() -> None:
    """Write both tables."""
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("run", type=Path)
    ask.add_argument("--referee", type=Path, help="a run of numpyro-nuts and national-hmc")
    options = ask.parse_args()
    run = opened(options.run)
    names = [name for name in sb.scores(run).backend.unique() if name not in (REFERENCE, "seasonal-naive")]
    rows = [differences(run, name) for name in names]
    if options.referee:
        rows.append(differences(opened(options.referee), "numpyro-nuts"))
    common.written("core", sb.table(run).to_markdown().rstrip() + "\n\n" + common.table(HEAD, rows))
    head = ["contender", "geo-20, s a world", "others, s a world", "all, s"]
    common.written("core-seconds", common.table(head, seconds(run)))


if __name__ == "__main__":
    main()
