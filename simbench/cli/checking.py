"""Verbs for who brings a contender: check, and what `new backend` writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from simbench.cli.common import FAILED, PASS, emit, example, free, json_option, page, progress, table
from simbench.errors import BadInput

if TYPE_CHECKING:
    from simbench.records import Brief

#: Worlds a scenario: two to compare, one more for company.
WORLDS = 3
#: Draws asked for: enough for a standard error, few enough to be quick.
DRAWS = 64
#: Two small worlds, for checks only: a nation with a bought channel and another whose contacts are counted, and three
#: geos with money to move between them.
SCENARIOS = {
    "check-nation": """base = "confounded-search"
[[channels]]
name = "paid-social"
exposure_seen = true
[time]
weeks = 70
""",
    "check-geos": """base = "geo-20"
[geo]
count = 3
[time]
weeks = 60
""",
}
HEAD = 'schema_version = 1\nname = "{name}"\nbreaks = "compound"\n'
REST = """pre_history = 12
holdout = 8
horizon = 10
tail = 14
[[demand.events]]
name = "black-friday"
dates = ["2021-11-26"]
"""


@click.command(
    epilog=example("simbench check ols", "simbench check mine.py:mine", "simbench check 'command:Rscript fit.R' --json")
)
@click.argument("backend")
@click.option("--scenario", "scenarios", multiple=True, help="Check on worlds of this scenario; may be repeated.")
@json_option
@click.pass_context
def check(context: click.Context, backend: str, scenarios: tuple[str, ...], as_json: bool) -> None:
    """Check that a contender keeps the laws every contender must keep.

    BACKEND is asked about three small worlds, and again about changed ones whose answers follow from the first.
    What each check asks for is in docs/backends.md. Exit code 1: a check failed.
    """
    from simbench.backends.conformance import FAILED as BROKEN
    from simbench.backends.conformance import check as checks_of
    from simbench.backends.registry import backend_named
    from simbench.run.hosts import prepare_process
    from simbench.run.plan import check_handles

    prepare_process()
    made = backend_named(backend)
    check_handles(made)
    with progress(f"checking {made.name}", quiet=as_json):
        checks = checks_of(made, briefs_to_check(scenarios))
    failed = [each for each in checks if each.status == BROKEN]
    if as_json:
        emit({"backend": made.name, "ok": not failed, "checks": [each._asdict() for each in checks]})
    else:
        console = page()
        console.print(made.name, style="bold")
        console.print(table(("check", "", "detail"), [(c.name, c.status, c.detail) for c in checks]))
        console.print(f"{len(failed)} of {len(checks)} checks failed" if failed else "all checks passed")
    context.exit(FAILED if failed else PASS)


def briefs_to_check(scenarios: Sequence[str] = ()) -> list[Brief]:
    """Briefs of a few small worlds, without their truth.

    Parameters
    ----------
    scenarios : sequence of str
        Names or files of scenarios; without any, the two that are kept for this.
    """
    from tempfile import TemporaryDirectory

    from simbench.world.scenario import read_scenario
    from simbench.world.truth import draw

    if scenarios:
        found = [read_scenario(name) for name in scenarios]
    else:
        with TemporaryDirectory() as folder:
            for name, text in SCENARIOS.items():
                Path(folder, f"{name}.toml").write_text(HEAD.format(name=name) + text + REST, encoding="utf-8")
            found = [read_scenario(Path(folder, f"{name}.toml")) for name in SCENARIOS]
    return [_quick(brief) for scenario in found for brief in draw(scenario, WORLDS, truth=False).briefs]


def _quick(brief: Brief) -> Brief:
    from dataclasses import replace

    questions = brief.questions
    return brief._replace(questions=questions._replace(sizes=replace(questions.sizes, draws=DRAWS)))


class Written(NamedTuple):
    """What `new backend` wrote."""

    file: Path
    spec: str  #: how to name it in other commands


STARTER = '''"""A contender for simbench. Try it: simbench check {name}.py:{name}"""

import numpy as np


def {name}(key, brief, penalty=1.0):
    """Ridge regression of the KPI on season and spend."""
    panel, questions, context = brief
    weeks = int(panel.origin)  # what stands in later rows is hidden and must not be read
    seen = np.flatnonzero(panel.mask[:weeks])  # and so is the KPI of weeks that nobody recorded
    spend, kpi = panel.spend[:weeks].sum(axis=1), panel.kpi[seen].sum(axis=1)  # [weeks, channels], [seen weeks]
    unit = np.where(context.spend_scale > 0, context.spend_scale, 1.0)  # then the answers do not depend on currency

    def design(spend, calendar):
        angle = 2 * np.pi * calendar[:, None] * np.array([1, 2])  # two yearly waves; calendar is a fraction of a year
        return np.column_stack([np.ones(len(spend)), np.cos(angle), np.sin(angle), spend / unit])

    # the posterior of a ridge: everything but the first column is pulled towards 0
    x = design(spend[seen], panel.calendar[seen])
    precision = x.T @ x + penalty * np.diag([0.0] + [1.0] * (x.shape[1] - 1))
    mean = np.linalg.solve(precision, x.T @ kpi)
    sigma = np.sqrt(((kpi - x @ mean) ** 2).sum() / max(len(kpi) - len(mean), 1))
    random = np.random.default_rng(key)  # all chance comes from the key: the same key, the same answers
    draws = questions.sizes.draws
    beta = random.multivariate_normal(mean, sigma**2 * np.linalg.inv(precision), draws)  # [draws, columns]

    # contribution [draws, windows, channels]: KPI that would be missing without a channel's spend in a window
    paid = np.stack([spend[start:stop].sum(axis=0) for start, stop in questions.windows])
    contribution = beta[:, None, -spend.shape[1] :] * paid / unit

    # forecast [draws, weeks ahead, geos], noise included, each geo by its share of the KPI
    ahead = design(questions.future.spend.sum(axis=1), questions.future.calendar[: len(questions.future.spend)])
    total = beta @ ahead.T + sigma * random.standard_normal((draws, len(ahead)))
    share = panel.kpi[seen].sum(axis=0) / kpi.sum()

    # what is left out (marginal, curve, response, ...) is not answered: docs/backends.md has the list
    return {{"contribution": contribution, "forecast": total[:, :, None] * share}}
'''


def write_backend(name: str, out: Path, *, force: bool) -> Written:
    """Write ``NAME.py``, a small contender that passes `check` as it is.

    Raises
    ------
    BadInput
        If the name is no name of a Python function, or is taken.
    """
    from keyword import iskeyword

    from simbench.backends.registry import NATIVE, RESERVED
    from simbench.report.folders import write_text

    if not name.isidentifier() or iskeyword(name):
        raise BadInput("NAME", f"{name!r} is no name of a Python function", "letters, digits and _, such as my_model")
    if name in (*NATIVE, RESERVED):
        raise BadInput("NAME", f"{name!r} is taken", "another name")
    if not out.is_dir():
        raise BadInput(str(out), "is no folder", "a folder that exists")
    file = out / f"{name}.py"
    free(file, force=force)
    write_text(file, STARTER.format(name=name))
    return Written(file, f"{file}:{name}")
