"""Writes what bench_engines.py measured into docs/engines.md: ``python benchmarks/speed_table.py``."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "engines.md"
COMMAND = "make peers && make speed"


def waits(told: dict) -> dict[str, float]:
    """Seconds a user waits for one fit of the library, and those of its sampler once compiled and warm."""
    seconds = told["seconds"]
    return {"all": seconds["build"] + seconds["fit"], "import": seconds["import"]}


def table(found: dict) -> str:
    """The table and the ratios."""
    peers = {name: told for name, told in found.items() if "min_ess_roas" in told}
    lines = [
        f"{date.today()}, `{COMMAND}`, two cores for both; panels of 130 weeks, 5 channels, 2 controls.",
        "",
        "| PyMC-Marketing 0.19.2 + NumPyro, one panel | seconds (build, compile, warm-up, draws) | import, s |"
        " fewest ROAS ESS | R-hat | leapfrogs a draw | peak, GB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, told in peers.items():
        wait = waits(told)
        lines.append(
            f"| chains {name} | {wait['all']:.1f} | {wait['import']:.1f} | {told['min_ess_roas']:.0f} |"
            f" {told['max_rhat']:.3f} | {told['mean_leapfrog_steps']:.0f} | {told['peak_memory_gb']:.2f} |"
        )
    best = min(peers.values(), key=lambda told: waits(told)["all"]) if peers else None
    fits = 60 / waits(best)["all"] if best else float("nan")
    ess = fits * best["min_ess_roas"] if best else float("nan")
    lines += [
        "",
        "| ours | fits, answers with them | seconds | fits a minute | times | ROAS ESS a minute | times | fewest ROAS"
        " ESS: median, worst | converged | first answer, s | import, s | peak, GB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, told in found.items():
        if "fits" not in told:
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
