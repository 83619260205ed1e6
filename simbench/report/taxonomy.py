"""The taxonomy: every assumption that a scenario can break, its formula, and the scenarios that break it.

Written from the files, so that the page says what they say: :func:`page` makes docs/taxonomy.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from simbench.errors import BadInput
from simbench.report.changes import Change, Said, changes, drawn, swept, told
from simbench.report.markdown import escaped, grid
from simbench.world.scenario import BREAKS, Scenario

#: So many key paths are told of a scenario; more are counted.
MOST = 4
HEAD = ("scenario", "what its file changes", "range", "source", "unrealistic")


class Formula(NamedTuple):
    """How a world breaks an assumption, and the sections of docs/worlds.md that say it in full."""

    text: str
    sections: tuple[int, ...]


#: Section of docs/worlds.md -> its anchor.
SECTIONS = {
    1: "1-clock",
    3: "3-geos",
    4: "4-demand",
    5: "5-planned-spend",
    6: "6-media",
    7: "7-kpi",
    11: "11-what-is-measured",
}

#: Word of BREAKS -> how a world breaks it. Letters are those of docs/worlds.md.
FORMULAS = {
    "": Formula("mu = base + sum_c beta_c m_c S(A(x_c)), KPI = mu + sd eta", (4, 5, 6, 7)),
    "compound": Formula("several of the formulas above in one world", (4, 5, 6, 7)),
    "enough-data": Formula("T weeks for C channels and K controls: few weeks or many columns", (1, 4)),
    "exogenous-spend": Formula(
        "X_n clip((y_{n-1} / mean of y over a window)^strength, low, high); X_n mean(y) / reference KPI", (5,)
    ),
    "fixed-budgets": Formula("X_n clip((mean of y last quarter / the quarter before)^strength, low, high)", (5,)),
    "unanticipated-spend": Formula("X_n exp(anticipation k_n), k_n = promotion weeks among the next three", (5,)),
    "exogenous-search": Formula("paid = min(cap, demand), demand ~ q_n^strength (1 + O_n / base)^halo", (6,)),
    "uncorrelated-spend": Formula(
        "one correlation of all pairs; or X_n season_n^season exp(cycle w_n), w shared", (5,)
    ),
    "spend-variation": Formula("X_n = weekly LN(cv) with a small cv", (5,)),
    "known-carry-over": Formula("A(x)_n = sum_l w_l x_{n-l}: longer or of another shape than geometric", (6,)),
    "known-saturation": Formula(
        "S(v) = (v/(v+h) + v/(v + far h))/2, S = r f/(f + frequency), S = log(1 + v/h), or an unusual bend",
        (6,),
    ),
    "effect-shape": Formula("S(v) = v^s / (v^s + h^s) with s well above 1: a threshold first", (6,)),
    "order-of-operations": Formula("beta A(m S(x)) in place of beta m S(A(x))", (6,)),
    "constant-effect": Formula("beta m_n, m_n decays, shifts, wears out or walks; or contacts = money / price_n", (6,)),
    "no-breaks": Formula("q_n (1 + (factor - 1) a_n), a_n a step or a spell; KPI (1 - share) from a week on", (4, 11)),
    "stationary-baseline": Formula(
        "trend_n = exp(W_n), a random walk, or with knots; q_n exp(u_n), a mood that nobody sees", (4,)
    ),
    "known-season": Formula(
        "1 + amplitude s_n; events 1 + lift that move, or that nobody sees, with X_n (events_n events_{n+1})^peaks",
        (4, 5),
    ),
    "exogenous-price": Formula("q_n exp(elasticity d_n) with X_n exp(anticipation k_n)", (4, 5)),
    "no-competitor": Formula(
        "q_n (1 - depth a_n), q_n exp(-effect (s_n - share)), or q_n (c_n / weekly)^-effect", (4,)
    ),
    "additive": Formula("mu + strength sqrt(abs(beta_a beta_b)) s_a s_b", (6,)),
    "positive-effect": Formula("beta_c <= 0", (6,)),
    "gaussian-noise": Formula("eta AR(1) or Student-t; sd growing with mu^power", (7,)),
    "exact-kpi": Formula(
        "KPI LN(sd), (1 - share) from a week on, missing, filled in, booked late, or with Laplace noise", (11,)
    ),
    "exact-spend": Formula("spend LN(sd), (1 + share), factor, or (1 - share) from a week on", (11,)),
    "honest-claims": Formula("claim = [coverage contribution A_w/A + poaching base] LN(cv)", (11,)),
    "no-outliers": Formula("spend (low + (high - low) v) in a few weeks; X_n factor in bursts", (5, 11)),
    "established-channels": Formula("X_n = 0 before from_week, or factor X_n from a week on", (5,)),
    "comparable-channels": Formula("weekly_c or roas_c apart by orders of magnitude", (5, 6)),
    "homogeneous-geos": Formula("share_g, level_g, effect_gc = exp(sd e - sd^2/2), tier_ng", (3,)),
    "monetary-kpi": Formula("KPI in conversions, worth unit_value each", (6,)),
    "ordinary-units": Formula("level and weekly times a large or small constant", (4, 5)),
    "proper-controls": Formula("column z_kn + of_media_k B_n / level", (4,)),
    "short-run-effect": Formula("w_l = (1 - s) r^l / sum r^l + s d^l / sum d^l, d near 1", (6,)),
    "continuous-kpi": Formula("KPI Poisson or negative binomial of mean mu", (7,)),
    "identifiable": Formula("two worlds with the same mu on weeks 0..T-1, and other answers", (6,)),
    "generated-spend": Formula("X_n = the column of a file", (5,)),
    "strong-media": Formula("sum of contributions small beside sum of mu", (6,)),
}

OPENING = """# Taxonomy: what each scenario breaks

Written from the scenario files by `simbench list --taxonomy > docs/taxonomy.md`; not to be edited by hand. An axis is
an assumption that a marketing mix model may rest on. A scenario breaks one of them and inherits the rest from its base,
so that a difference in scores has one cause; *compound* worlds break several, *controls* none.

Changes are key paths of the file, `before -> after`, or `= value` where the base says nothing. `*` is every name of a
list; what several channels share is told once, as the range over them. The range of a scenario is what its sweep
visits, and what each replicate draws of the keys it changes (of distributions without ends 5% to 95%). Formulas are
those of [worlds.md](worlds.md), in short. How far a scenario is from published data: [realism.md](realism.md).
"""


def page(scenarios: Sequence[Scenario]) -> str:
    """The taxonomy as Markdown.

    Parameters
    ----------
    scenarios : sequence of Scenario
        Every base among them too.

    Raises
    ------
    BadInput
        If a base is not among them.

    Examples
    --------
    >>> from simbench.world.scenario import read_scenario
    >>> page([read_scenario("clean")]).splitlines()[0]
    '# Taxonomy: what each scenario breaks'
    """
    known = {scenario.name: scenario for scenario in sorted(scenarios, key=lambda scenario: scenario.name)}
    axes = [word for word in BREAKS if word not in ("", "compound")]
    broken = {word for word in axes if any(scenario.breaks == word for scenario in known.values())}
    counted = f"\n{len(known)} scenarios, {len(broken)} of {len(axes)} axes.\n"
    parts = [f"### {word}\n\n{_axis(word, known)}" for word in axes]
    controls, compound = _axis("", known), _axis("compound", known)
    return "\n".join([
        OPENING + counted, "## Axes\n", *parts, f"## Compound worlds\n\n{compound}", f"## Controls\n\n{controls}",
    ])  # fmt: skip


def _axis(word: str, known: Mapping[str, Scenario]) -> str:
    """One axis: the assumption, the formula, and a row a scenario."""
    formula = FORMULAS[word]
    places = ", ".join(f"[section {number}](worlds.md#{SECTIONS[number]})" for number in formula.sections)
    rows = [_row(scenario, known) for scenario in known.values() if scenario.breaks == word]
    meaning = BREAKS[word].removeprefix("control: ")
    lead = f"{meaning[0].upper()}{meaning[1:]}. `{formula.text}`: {places}.\n\n"
    return lead + (grid(HEAD, rows) if rows else "no scenario yet\n")


def _row(scenario: Scenario, known: Mapping[str, Scenario]) -> list[str]:
    """One scenario: its name, changes, range, source and what is unrealistic, as Markdown."""
    sweep = swept(scenario)
    found = [change for change in _found(scenario, known) if sweep is None or _dotted(change) != sweep.path]
    ranges = ([sweep] if sweep else []) + drawn(found)
    name = f"`{scenario.name}`" + (
        f", superseded by {escaped(scenario.superseded_by)}" if scenario.superseded_by else ""
    )
    said = (
        f"`{scenario.base}` with {few(told(found)) or 'nothing but the sweep'}" if scenario.base else _alone(scenario)
    )
    return [name, said, few(ranges), escaped(scenario.source), escaped(scenario.unrealistic)]


def _found(scenario: Scenario, known: Mapping[str, Scenario]) -> list[Change]:
    if scenario.base is None:
        return []
    if scenario.base not in known:
        raise BadInput(
            f"{scenario.name}: base", f"'{scenario.base}' is not among the scenarios", "every base with them"
        )
    return changes(known[scenario.base], scenario)


def _dotted(change: Change) -> str:
    return ".".join(part.key for part in change.path)


def _alone(scenario: Scenario) -> str:
    """A scenario without a base, by its size."""
    sizes = ((scenario.time.weeks, "week"), (len(scenario.channels), "channel"), (scenario.geo.count, "geo"))
    return "no base: " + ", ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in sizes)


def few(said: Iterable[Said]) -> str:
    """Key paths with what is said of them, as Markdown; at most `MOST`, the rest counted."""
    parts = [f"`{each.path}` {escaped(each.text)}" for each in said]
    more = [f"and {len(parts) - MOST} more"] if len(parts) > MOST else []
    return "; ".join(parts[:MOST] + more)
