"""Writes what bench_engines.py measured into docs/engines.md: ``python benchmarks/speed_table.py``."""

from __future__ import annotations

import json
import re
import statistics
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "engines.md"
COMMAND = "make peers && make speed"


def over_panels(fits: list[dict]) -> dict[str, float]:
    """What the library took, import apart: over its panels, means or the worst."""
    seconds = [told["seconds"]["build"] + told["seconds"]["fit"] for told in fits]
    return {
        "panels": len(fits),
        "all": statistics.mean(seconds),
        "least": min(seconds),
        "most": max(seconds),
        "import": statistics.mean(told["seconds"]["import"] for told in fits),
        "ess": statistics.mean(told["min_ess_roas"] for told in fits),
        "rhat": max(told["max_rhat"] for told in fits),
        "leapfrogs": statistics.mean(told["mean_leapfrog_steps"] for told in fits),
        "memory": max(told["peak_memory_gb"] for told in fits),
    }


def table(found: dict) -> str:
    """The table and the ratios."""
    peers = {name: over_panels(told) for name, told in found.items() if isinstance(told, list)}
    lines = [
        f"{date.today()}, `{COMMAND}`, two cores for both; panels of 130 weeks, 5 channels, 2 controls.",
        "",
        "| PyMC-Marketing 0.19.2 + NumPyro | panels | seconds a panel (build, compile, warm-up, draws): mean, least,"
        " most | import, s | fewest ROAS ESS, mean | worst R-hat | leapfrogs a draw | peak, GB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, told in peers.items():
        lines.append(
            f"| chains {name} | {told['panels']} | {told['all']:.1f}, {told['least']:.1f}, {told['most']:.1f} |"
            f" {told['import']:.1f} | {told['ess']:.0f} | {told['rhat']:.3f} | {told['leapfrogs']:.0f} |"
            f" {told['memory']:.2f} |"
        )
    best = min(peers.values(), key=lambda told: told["all"]) if peers else None
    fits = 60 / best["all"] if best else float("nan")
    ess = fits * best["ess"] if best else float("nan")
    lines += [
        "",
        "| ours | fits, answers with them | seconds | fits a minute | times | ROAS ESS a minute | times | fewest ROAS"
        " ESS: median, worst | converged | first answer, s | import, s | peak, GB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, told in found.items():
        if isinstance(told, list):
            continue
        draws = told["return ESS a minute"]
        lines.append(
            f"| `{name}` | {told['fits']} | {told['seconds']:.1f} | {told['fits a minute']:,.0f} |"
            f" {told['fits a minute'] / fits:,.0f} | {f'{draws:,.0f}' if draws else '-'} |"
            f" {f'{draws / ess:,.0f}' if draws else '-'} |"
            + (f" {told['median return ESS']:,.0f}, {told['fewest']:,.0f} |" if draws else " - |")
            + f" {told['converged']:.0%} | {told['first answer']:.1f} | {told['import']:.1f} | {told['memory']:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Replace what stands between the marks."""
    found = json.loads((ROOT / ".cache" / "speed.json").read_text())
    page = PAGE.read_text()
    marked = f"<!-- speed -->\n{table(found)}\n<!-- /speed -->"
    PAGE.write_text(re.sub(r"<!-- speed -->.*?<!-- /speed -->", lambda _: marked, page, flags=re.DOTALL))


if __name__ == "__main__":
    main()
