"""The verb `list`: what there is, and the pages that are written from it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import click

from simbench.cli.common import counted, emit, example, json_option, page, table
from simbench.errors import BadInput

Row = Mapping[str, Any]


@click.command(
    "list",
    epilog=example(
        "simbench list",
        "simbench list --family clean --breaks constant-effect",
        "simbench list --taxonomy > docs/taxonomy.md",
        "simbench list --realism > docs/realism.md",
    ),
)
@click.option("--family", metavar="NAME", help="Only scenarios of this family.")
@click.option("--breaks", metavar="WORD", help="Only scenarios that break this assumption ('' = controls).")
@click.option("--suite", metavar="NAME", help="Only scenarios of this suite.")
@click.option("--taxonomy", is_flag=True, help="Print docs/taxonomy.md: all scenarios by what they break.")
@click.option("--realism", is_flag=True, help="Print docs/realism.md: worlds beside published ranges. Some minutes.")
@json_option
def list_(
    family: str | None, breaks: str | None, suite: str | None, taxonomy: bool, realism: bool, as_json: bool
) -> None:
    """List scenarios, suites, backends and rules of thumb.

    Scenarios stand family by family: the scenario that all of a family begin from, then what changes it. A sweep is
    one line; its points are in --json. With --family, --breaks or --suite only scenarios are printed.
    """
    wanted = {"family": family, "breaks": breaks, "suite": suite}
    some = any(word is not None for word in wanted.values())
    if taxonomy:
        if some or realism:
            raise BadInput("--taxonomy", "is of all scenarios", "no option beside it but --json")
        _print_taxonomy(as_json)
        return
    from simbench.report.frames import scenarios

    rows = list(_chosen(scenarios().to_dict("records"), **wanted))
    if realism:
        _print_realism(rows, as_json)
    else:
        _print_list(rows, as_json, whole=not some)


def _print_list(rows: Sequence[Row], as_json: bool, whole: bool) -> None:
    from simbench.world.scenario import read_suite, suite_names

    suites = [read_suite(name) for name in suite_names()]
    if as_json:
        told = [
            {
                "name": suite.name,
                "title": suite.title,
                "scenarios": [{"name": e.name, "replicates": e.replicates} for e in suite.scenarios],
            }
            for suite in suites
        ]
        emit({"scenarios": rows, "suites": told, "backends": [item._asdict() for item in _contenders()]})
        return
    console = page()
    if rows:
        columns = ("scenario", "breaks", "weeks", "channels", "geos", "title")
        console.print(table(columns, list(_lines(rows)), right=("weeks", "channels", "geos")))
    else:
        console.print("no scenario is all of that")
    if whole:
        console.print()
        console.print(table(("suite", "worlds", "title"), [
            (suite.name, sum(entry.replicates for entry in suite.scenarios), suite.title) for suite in suites
        ], right=("worlds",)))  # fmt: skip
        console.print()
        _print_backends(console)
    console.print("simbench show NAME tells more about each.")


def _print_backends(console: Any) -> None:
    """Models and the like by name; rules of thumb, which come by what they believe, in a table of their own."""
    from simbench.backends.registry import RULES
    from simbench.decide.policies import POLICIES

    backends = [(item.name, item.source, item.fault or "-") for item in _contenders() if item.name not in RULES]
    console.print(table(("backend", "source", "fault"), backends))
    console.print()
    rules = [(rule.name, "claims, model" if rule.arms else "-", rule.about) for rule in POLICIES]
    console.print(table(("rule of thumb", "by", "what it does with the money"), rules))
    console.print("asked as NAME, or NAME-by-claims and NAME-by-model; tag:rule is all but those by a model,")
    console.print("which are tag:model-rule")


def _contenders() -> list[Any]:
    from simbench.backends.registry import listed, tried

    # other packages are tried, so that a broken one is told; simbench's own are not imported
    return [item if item.source == "simbench" else tried(item) for item in listed()]


# --- which scenarios


def _chosen(rows: Sequence[Row], family: str | None, breaks: str | None, suite: str | None) -> Iterator[Row]:
    """The worlds that are all of what is asked for."""
    from simbench.world.scenario import BREAKS, read_suite, suite_names

    _known("--family", family, {row["family"] for row in rows})
    _known("--breaks", breaks, BREAKS)
    _known("--suite", suite, suite_names())
    inside = None if suite is None else {entry.name for entry in read_suite(suite).scenarios}
    for row in rows:
        same = family in (None, row["family"]) and breaks in (None, row["breaks"])
        if same and (inside is None or row["name"] in inside):
            yield row


def _known(option: str, word: str | None, allowed: Collection[str]) -> None:
    from simbench.world.scenario_numbers import nearest

    if word is not None and word not in allowed:
        raise BadInput(option, f"'{word[:100]}' is not known", nearest(word, sorted(allowed)))


def _lines(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """Lines of the table: family by family, its root first, the others below; a sweep is one line."""
    files: dict[str, list[Row]] = {}
    for row in rows:
        files.setdefault(row["scenario"], []).append(row)
    last = ""
    for name, points in sorted(files.items(), key=_place):
        root = points[0]["family"]
        if root not in (name, last):
            yield f"({root})", "", "", "", "", ""
        last = root
        sizes = (_span([point[key] for point in points]) for key in ("weeks", "channels", "geos"))
        yield name if name == root else f"  {name}", points[0]["breaks"] or "-", *sizes, _said(name, points)


def _place(item: tuple[str, Sequence[Row]]) -> tuple[str, bool, str]:
    """Where a scenario stands: by family, the root first, then by name."""
    name, root = item[0], item[1][0]["family"]
    return root, name != root, name


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low}-{high}"


def _said(name: str, points: Sequence[Row]) -> str:
    """The title, the key and values of a sweep, and what came in the place of the scenario."""
    first = points[0]
    said = [first["title"]] if first["title"] else []
    if first["sweep"]:
        values = ", ".join(point["name"][len(name) + 1 : -1] for point in points)
        said.append(f"sweep of {first['sweep']}: {values}")
    if first["superseded_by"]:
        said.append(f"superseded by {first['superseded_by']}")
    return "; ".join(said)


# --- pages


def _print_taxonomy(as_json: bool) -> None:
    from simbench.report.taxonomy import page as written
    from simbench.world.scenario import read_scenario, scenario_names

    _print_page(written([read_scenario(name) for name in scenario_names()]), as_json)


def _print_realism(rows: Sequence[Row], as_json: bool) -> None:
    from simbench.report.realism import page as written
    from simbench.run.hosts import prepare_process
    from simbench.world.realism import REPLICATES, ranges, realism
    from simbench.world.scenario import read_scenario

    prepare_process()
    scenarios = [read_scenario(row["name"]) for row in rows]
    findings = []
    with counted("worlds", quiet=as_json) as say:
        for done, scenario in enumerate(scenarios):
            say(scenario.name, done, len(scenarios))
            findings += realism(scenario)
    reasons = {scenario.name: scenario.unrealistic for scenario in scenarios}
    text = written(findings, reasons, ranges(), REPLICATES)
    _print_page(text, as_json, findings=[finding._asdict() for finding in findings])


def _print_page(text: str, as_json: bool, **more: Any) -> None:
    if as_json:
        emit({**more, "page": text})
    else:
        click.echo(text, nl=False)
