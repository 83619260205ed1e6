"""Verbs about worlds: show, draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from simbench.cli.common import (
    emit,
    example,
    force_option,
    free,
    json_option,
    page,
    progress,
    table,
    warn_of_successors,
)
from simbench.errors import BadInput


@click.command(
    epilog=example("simbench show clean", "simbench show 'collinear[0.9]' --plot collinear.png", "simbench show ols")
)
@click.argument("name")
@click.option("--replicate", type=click.IntRange(min=0), default=0, show_default=True, help="Which world is told.")
@click.option("--no-truth", is_flag=True, help="Only the card: nothing is drawn.")
@click.option("--plot", type=click.Path(path_type=Path), help="Write a picture (.png, .svg or .pdf).")
@force_option
@json_option
def show(name: str, replicate: int, no_truth: bool, plot: Path | None, force: bool, as_json: bool) -> None:
    """Show a scenario or a backend: what it is, and what the truth says.

    NAME is a shipped scenario, a point of a sweep such as 'collinear[0.9]', a scenario file, or a backend.
    """
    from simbench.report import words
    from simbench.world.scenario import read_scenario, scenario_names

    if name not in scenario_names() and _is_backend(name):
        _show_backend(name, as_json)
        return
    scenario = read_scenario(name)
    card = words.card(scenario)
    tells = scenario.sweep is None and not no_truth
    if plot is not None:
        _check_plot(plot, scenario, no_truth, force)
    told = None
    if tells:
        from simbench.run.hosts import prepare_process
        from simbench.world.truth import draw as draw_worlds

        prepare_process()
        with progress(f"drawing {scenario.name}", quiet=as_json):
            drawn = draw_worlds(scenario, [replicate])
            told = words.facts(drawn)
            if plot is not None:
                from simbench.report.plots import plot_world

                plot_world(drawn, plot)
    if as_json:
        emit({"card": card, "truth": told, "plot": None if plot is None else str(plot)})
        return
    console = page()
    print_card(console, card)
    if told is not None:
        print_truth(console, told)
    if plot is not None:
        console.print(f"\nsaved {plot}")


def _is_backend(name: str) -> bool:
    # a registry of backends imports JAX: asked only when no scenario has the name
    from simbench.backends.registry import is_backend

    return is_backend(name)


def _show_backend(name: str, as_json: bool) -> None:
    from simbench.backends.contender import Contender
    from simbench.backends.registry import backend_named, core_identity, source_of

    backend, (contender, source) = backend_named(name), source_of(name)
    options = contender.options if isinstance(contender, Contender) else ()
    told = {
        "name": backend.name,
        "title": contender.title if isinstance(contender, Contender) else "",
        "source": source,
        "reference": contender.source if isinstance(contender, Contender) else "",
        "answers": contender.answers if isinstance(contender, Contender) else "see simbench check",
        "options": [{**option._asdict(), "value": backend.config[option.name]} for option in options],
        "version": backend.version, "config": dict(backend.config), "code": backend.code,
        "block": backend.block, "precision": backend.precision, "tags": sorted(backend.tags),
        "handles": sorted(backend.handles), "identity": core_identity(backend),
    }  # fmt: skip
    if as_json:
        emit({"backend": told})
        return
    console = page()
    console.print(f"{backend.name}: {told['title']}" if told["title"] else backend.name, style="bold")
    for key in ("source", "reference", "answers", "version", "block", "precision", "tags", "handles"):
        value = told[key] or "-"
        console.print(f"  {key:<10}{', '.join(value) if isinstance(value, list) else value}".rstrip())
    if options:
        rows = [(o.name, o.default, backend.config[o.name], _allowed(o), o.meaning, o.source) for o in options]
        console.print()
        console.print(table(("option", "default", "here", "allowed", "meaning", "source"), rows))
        console.print(f"For example: --backend '{contender.name}[{options[0].name}={options[0].default}]'")


def _allowed(option: Any) -> str:
    """Choices, or unit and bounds of an option."""
    if option.choices:
        return ", ".join(option.choices)
    low = "" if option.low is None else f"{option.low:g}"
    high = "" if option.high is None else f"{option.high:g}"
    bounds = f"{low}..{high}" if low or high else ""
    return " ".join(part for part in (bounds, option.unit) if part) or "-"


def _check_plot(plot: Path, scenario: Any, no_truth: bool, force: bool) -> None:
    from simbench.report.plots import check_plot
    from simbench.world.scenario import points

    if no_truth:
        raise BadInput("--plot", "shows the truth", "leave --no-truth out")
    if scenario.sweep is not None:
        first = points(scenario)[0].name
        raise BadInput(scenario.name, "is a sweep of several worlds", f"name one of its points, e.g. {first}")
    check_plot(plot)
    free(plot, force=force)


def print_card(console: Any, card: dict[str, Any]) -> None:
    """A scenario for a person."""
    from rich.padding import Padding

    def field(label: str, text: Any) -> None:
        from rich.table import Table

        if text:
            grid = Table.grid(padding=(0, 1))
            grid.add_column(width=15)
            grid.add_column(overflow="fold")
            grid.add_row(label, str(text))
            console.print(Padding(grid, (0, 0, 0, 2)))

    broken = f"{card['breaks']}: {card['breaks_meaning']}" if card["breaks"] else card["breaks_meaning"]
    time, kpi = card["time"], card["kpi"]
    ahead = ", ".join(f"{key.replace('_', '-')} {time[key]}" for key in ("pre_history", "holdout", "horizon", "tail"))
    worth = "" if kpi["unit"] == "revenue" else f", each worth {kpi['value']:g}"
    console.print(f"{card['name']}: {card['title']}" if card["title"] else card["name"], style="bold")
    for label, text in (
        ("summary", card["summary"]),
        ("breaks", broken),
        ("should win", card["who_should_win"]),
        ("unrealistic", card["unrealistic"]),
        ("source", card["source"]),
        ("superseded by", card["superseded_by"]),
        ("family", card["family"]),
        ("digest", card["digest"][:16]),
        ("time", f"{time['weeks']} weeks from {time['start']}, {ahead}"),
        ("geos", card["geos"] if card["geos"] > 1 else "one, national"),
        ("geos differ", card["geo_spread"]),
        ("tiers", "; ".join(card["tiers"])),
        ("KPI", f"{kpi['unit']}{worth}, margin {kpi['margin']:g}"),
        ("demand", "; ".join(card["demand"])),
        ("budget cycle", card["budget_cycle"]),
        ("correlation", card["spend_correlation"] and f"{card['spend_correlation']}, of all correlated channels"),
        ("synergies", "; ".join(card["synergies"])),
        ("noise", card["noise"]),
        ("seen with", "; ".join(card["measure"])),
        ("asked to decide", "; ".join(card["problems"])),
        ("sweep", card["sweep"]),
        ("points", ", ".join(card["points"])),
    ):  # fmt: skip
        field(label, text)
    keys = ("spend", "carry_over", "saturation", "effect")
    rows = [[_called(channel), *(channel[key] for key in keys)] for channel in card["channels"]]
    console.print()
    console.print(table(("channel", "spend", "carry-over", "saturation", "effect"), rows))
    if card["base"]:
        console.print()
        if card["changes"]:
            console.print(table((f"against {card['base']}", "there", "here"), card["changes"]))
        else:
            console.print(f"against {card['base']}: nothing but the sweep")


def _called(channel: dict[str, str]) -> str:
    same = channel["name"].lower() == channel["kind"]
    return channel["name"] if same else f"{channel['name']} ({channel['kind']})"


def print_truth(console: Any, told: Any) -> None:
    """What the truth of one replicate says, for a person."""
    from simbench.report.words import sentences

    console.print(f"\nThe truth of replicate {told.replicate}", style="bold")
    for said in sentences(told):
        console.print(said)


@click.command(
    epilog=example(
        "simbench draw clean --replicates 3 --out clean-briefs",
        "simbench draw clean --replicates 3 --out clean-worlds --with-truth",
    )
)
@click.argument("scenario")
@click.option("--replicates", type=click.IntRange(min=1), default=1, show_default=True, help="How many worlds.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to make.")
@click.option("--with-truth", is_flag=True, help="Add the truths, the scenario's name and its digest.")
@force_option
@json_option
def draw(scenario: str, replicates: int, out: Path, with_truth: bool, force: bool, as_json: bool) -> None:
    """Write what an analyst sees as files.

    There is one folder a replicate. Without --with-truth nothing in it tells the scenario or its truth:
    it can be handed to anybody.
    """
    from simbench.report.folders import check_folder, write_folder
    from simbench.run.hosts import prepare_process

    check_folder(out, force=force)
    prepare_process()
    from simbench.world.scenario import read_scenario
    from simbench.world.truth import draw as draw_worlds

    told = read_scenario(scenario)
    warn_of_successors([told])
    with progress(f"drawing {scenario}", quiet=as_json):
        drawn = draw_worlds(told, replicates, truth=with_truth)
        write_folder(drawn, out, with_truth=with_truth, force=force)
    briefs = [f"brief-{number:04d}" for number in range(1, replicates + 1)]
    if as_json:
        emit({"folder": str(out), "briefs": briefs, "truth": "truth" if with_truth else None})
        return
    console = page()
    console.print(f"wrote {replicates} {'brief' if replicates == 1 else 'briefs'} to {out}")
    console.print(f"begin with {out / briefs[0] / 'README.txt'}")
