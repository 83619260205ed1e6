"""Scenarios beside published ranges, as a page: :func:`page` makes docs/realism.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from simbench.report.markdown import escaped, grid
from simbench.report.words import listed, number
from simbench.world.realism import Finding, Range

#: Channels that are told by name; more are counted.
FEW = 3

OPENING = """# Realism: scenarios beside published ranges

Written by `simbench list --realism > docs/realism.md`; not to be edited by hand. Every number is the median over
{replicates} worlds of a scenario; what is told of each channel is the least and the most of them. Quantities:
[worlds.md](worlds.md#12-realism). What each scenario is there for: [taxonomy.md](taxonomy.md).
"""


def page(findings: Sequence[Finding], reasons: Mapping[str, str], published: Sequence[Range], replicates: int) -> str:
    """The realism page as Markdown.

    Parameters
    ----------
    findings : sequence of Finding
        Of all scenarios, in the order of the rows.
    reasons : mapping
        Scenario -> what it says of itself (`unrealistic`), "" if nothing.
    published : sequence of Range
        The ranges, in the order of the columns.
    replicates : int
        Worlds behind each finding.

    Examples
    --------
    >>> page([], {}, [], 8).splitlines()[0]
    '# Realism: scenarios beside published ranges'
    """
    quantities = list(dict.fromkeys(each.quantity for each in published))
    names = list(dict.fromkeys(finding.scenario for finding in findings))
    of = {name: [finding for finding in findings if finding.scenario == name] for name in names}
    rows = [[f"`{name}`", *(cell([f for f in of[name] if f.quantity == q]) for q in quantities)] for name in names]
    outside = [name for name in names if not all(finding.inside for finding in of[name])]
    counted = f"{len(names) - len(outside)} of {len(names)} worlds lie inside all ranges; what lies outside is bold."
    return "\n".join([
        OPENING.format(replicates=replicates), "## What is published\n", ranges_table(published), "## Scenarios\n",
        f"{counted}\n", grid(["scenario", *quantities], rows, 1),
        "## Outside\n", "".join(_outside({name: of[name] for name in outside}, reasons)) or "none\n",
    ])  # fmt: skip


def ranges_table(published: Sequence[Range]) -> str:
    """The published ranges with their sources, as Markdown."""
    rows = [[r.quantity, r.kind or "all", f"{number(r.low)} to {number(r.high)}", escaped(r.source)] for r in published]
    return grid(["quantity", "channels", "range", "source"], rows)


def cell(findings: Sequence[Finding]) -> str:
    """One quantity of one scenario, least and most over channels; bold if any lies outside, "-" if there is none."""
    if not findings:
        return "-"
    low, high = (_digits(end(finding.value for finding in findings)) for end in (min, max))
    said = low if low == high else f"{low} to {high}"
    return said if all(finding.inside for finding in findings) else f"**{said}**"


def _digits(value: float) -> str:
    """Two decimals, or two digits of what is smaller; four decimals at most."""
    size = abs(value)
    if size < 5e-5:
        return "0.00"
    return f"{value:.2f}" if size >= 0.095 else f"{value:.2g}" if size >= 1e-3 else f"{value:.4f}"


def _outside(of: Mapping[str, Sequence[Finding]], reasons: Mapping[str, str]) -> Iterator[str]:
    """A line on each scenario that lies outside: where, and what it says of that; points of a sweep together."""
    for _, names in groupby(of, lambda name: name.partition("[")[0]):
        points = list(names)
        where = ", ".join(f"`{name}` ({_where(of[name])})" for name in points)
        yield f"- {where}: {escaped(reasons.get(points[0], '')) or '**says nothing of it**'}\n"


def _where(findings: Sequence[Finding]) -> str:
    """Quantities that lie outside, and of which channels."""
    units: dict[str, list[str]] = {}
    for finding in findings:
        if not finding.inside:
            units.setdefault(finding.quantity, []).append(finding.unit)
    return ", ".join(f"{quantity}{_of(channels)}" for quantity, channels in units.items())


def _of(units: Sequence[str]) -> str:
    """Channels by name while they are few."""
    if units == [""]:
        return ""
    return f" of {listed(units) if len(units) <= FEW else f'{len(units)} channels'}"
