"""Verbs that read what is stored: inspect, score, validate, task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from simbench.cli.common import BAD, NOTHING, PASS, emit, example, free, json_option, page, table
from simbench.cli.common import one_line as clean
from simbench.errors import BadInput

#: What `representable` is called.
IN_CLASS = {True: "yes", False: "no", None: "it does not say"}
run_option = click.option("--run", "run_", default="latest", show_default=True, help="Folder of the run.")


@click.command(
    epilog=example(
        "simbench inspect smoke-clean/0/ols",
        "simbench inspect smoke-clean/0/ols --plot cell.png --run simbench-runs/smoke",
    )
)
@click.argument("cell", metavar="SCENARIO/REPLICATE/BACKEND")
@run_option
@click.option("--plot", type=click.Path(path_type=Path), help="Write a picture (.png, .svg or .pdf).")
@json_option
def inspect(cell: str, run_: str, plot: Path | None, as_json: bool) -> None:
    """Show one cell of a run: what is true, what was answered, decided and scored, and its log."""
    from simbench.run.inspect import inspect as read

    if plot is not None:
        free(plot, force=True)
    told = read(run_, cell)
    if plot is not None:
        from simbench.report.figures import plot_cell

        plot_cell(told, plot)
    if as_json:
        _emit_cell(told, plot)
        return
    _print_cell(told)
    if plot is not None:
        page().print(f"\nsaved {plot}", soft_wrap=True)


def _emit_cell(told: Any, plot: Path | None) -> None:
    from simbench.briefs import frame
    from simbench.records import Failure
    from simbench.report.frames import truth_frame

    failed = isinstance(told.reply, Failure)
    emit({
        "cell": f"{told.source.name}/{told.replicate}/{told.entry.name}", "identity": told.identity,
        "file": str(told.file), "failure": told.reply if failed else None, "answers": None if failed else told.reply,
        "cost": told.cost, "decisions": told.decisions, "scores": told.rows.to_dict("records"), "log": told.log,
        "truth": truth_frame(told.truth, told.labels, told.brief).to_dict("records"),
        "brief": frame(told.brief, told.labels).astype({"date": str}).to_dict("records"),
        "plot": None if plot is None else str(plot), "representable": told.representable,
    })  # fmt: skip


def _print_cell(told: Any) -> None:
    import numpy as np

    from simbench.records import Failure

    console = page()
    console.print(f"{told.entry.name} on {told.source.name}, replicate {told.replicate}", style="bold")
    origin, channels = int(told.brief.panel.origin), told.labels.channels
    geos = f", {len(told.labels.geos)} geos" if len(told.labels.geos) > 1 else ""
    console.print(
        f"Brief: {origin} weeks{geos}, {len(channels)} channels; asked for {told.brief.questions.sizes.draws} draws"
    )
    broken = f"; the scenario breaks {told.source.breaks}" if told.source.breaks else ""
    console.print(f"In the contender's class: {IN_CLASS[told.representable]}{broken}")
    console.print(f"Stored in {told.file}", soft_wrap=True)
    seconds = float(told.cost.seconds)
    if seconds == seconds:
        memory = float(told.cost.peak_bytes) / 1e6
        console.print(f"Took {seconds:.3g} s, {memory:.0f} MB" if memory == memory else f"Took {seconds:.3g} s")
    true = np.asarray(told.truth.answers.contribution)[0]
    if isinstance(told.reply, Failure):
        console.print(clean(f"No answer: {told.reply.reason}. {told.reply.detail}"))
    elif told.reply.contribution is not None:
        from simbench.report.figures import spread

        low, middle, high = spread(np.asarray(told.reply.contribution)[:, 0], told.reply.levels)
        ends = [f"{a:,.0f} to {b:,.0f}" if b > a else "-" for a, b in zip(low, high, strict=True)]
        rows = [(name, f"{true[c]:,.0f}", f"{middle[c]:,.0f}", ends[c]) for c, name in enumerate(channels)]
        head = ("contribution", "true", "answered", "90% of draws")
        console.print()
        console.print(table(head, rows, right=head[1:]))
    if told.decisions is not None:
        for i, name in enumerate(told.labels.problems):
            for reading in ("own", "common", "plug_in", "risk_aware"):
                choice = getattr(told.decisions, reading)[i]
                if np.isfinite(choice.value):
                    parts = zip(told.labels.units[i], choice.amounts, strict=True)
                    amounts = ", ".join(f"{unit} {amount:,.0f}" for unit, amount in parts)
                    best = told.truth.optima[i]
                    earned = f"earns {float(choice.value):,.0f} of {float(best.value):,.0f}"
                    said = f", promised {float(choice.promise):,.0f}" if np.isfinite(choice.promise) else ""
                    console.print(f"\nBudget {name}, {reading.replace('_', '-')} allocation: {amounts}; {earned}{said}")
    if len(told.rows):
        console.print()
        rows = [
            (r.estimand, r.name, r.metric, f"{r.value:.4g}" if r.status == "ok" else r.status)
            for r in told.rows.itertuples()
        ]
        console.print(table(("estimand", "unit", "score", "value"), rows, right=("value",)))
    if told.log:
        console.print("\nLog (its end):")
        for line in told.log.rstrip().expandtabs(4).splitlines():
            console.print("".join(sign if sign.isprintable() else "?" for sign in line))


@click.command(
    epilog=example(
        "simbench score latest --out scores.csv",
        "simbench score latest --metric my.py:total_error",
        "simbench score simbench-runs/smoke --answers answers --name vendor",
    )
)
@click.argument("run_", metavar="RUN", default="latest")
@click.option(
    "--answers", type=click.Path(path_type=Path), help="Folder of answers to this run's task, to be scored as a column."
)
@click.option("--name", default="", help="Name of that column. [default: the folder's]")
@click.option(
    "--metric", "metrics", multiple=True, metavar="FILE.py:NAME", help="A score of your own; may be repeated."
)
@click.option("--out", type=click.Path(path_type=Path), help="Write every score row as CSV.")
@json_option
@click.pass_context
def score(
    context: click.Context,
    run_: str,
    answers: Path | None,
    name: str,
    metrics: tuple[str, ...],
    out: Path | None,
    as_json: bool,
) -> None:
    """Score stored answers again, without asking anybody.

    With --answers, what a program or a person answered elsewhere to `simbench task RUN` becomes a column.
    """
    from simbench.cli.boards import print_board
    from simbench.report.tables import records
    from simbench.run.hosts import prepare_process
    from simbench.run.results import opened
    from simbench.run.scoring import metric_named
    from simbench.run.scoring import score as scored

    prepare_process()
    found = opened(run_)
    if answers is not None:
        from simbench.run.foreign import score_answers

        found = score_answers(found, answers, name)
    own = [metric_named(text) for text in metrics]
    if not own and out is None:
        context.exit(print_board(found, as_json=as_json))
    frame = scored(found, own or None)
    if out is not None:
        from simbench.protocol.files import csv_text, write_text

        write_text(out, csv_text(frame))
        if not as_json:
            page().print(f"wrote {len(frame):,} rows to {out}", soft_wrap=True)
    if as_json:
        emit({"run": str(found.folder), "scores": records(frame)})
    elif own:
        _print_means(frame)
    context.exit(PASS if frame.value.notna().any() else NOTHING)


def _print_means(frame: Any) -> None:
    """Scores of the user's own: their means over worlds."""
    means = frame[frame.status == "ok"].groupby(["scenario", "backend", "estimand", "metric"], observed=True).value
    rows = [
        (scenario, clean(backend), clean(f"{estimand} {'' if metric == 'value' else metric}"), f"{mean:.4g}", count)
        for (scenario, backend, estimand, metric), mean, count in means.agg(["mean", "count"]).itertuples()
    ]
    if rows:
        page().print(table(("scenario", "contender", "score", "mean", "values"), rows, right=("mean", "values")))
    else:
        page().print("nothing was measured")


@click.command(epilog=example("simbench task latest --out task", "simbench validate task answers"))
@click.argument("run_", metavar="RUN", default="latest")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder that does not exist yet.")
@json_option
def task(run_: str, out: Path, as_json: bool) -> None:
    """Write all that contenders see in a run as one folder, to be answered elsewhere.

    Nothing in it tells a scenario or a truth. The files are explained in its README.txt and in docs/protocol.md.
    """
    from simbench.run.foreign import write_run_task
    from simbench.run.hosts import prepare_process

    prepare_process()
    folder = write_run_task(run_, out)
    count = sum(1 for path in folder.iterdir() if path.is_dir())
    if as_json:
        emit({"task": str(folder), "briefs": count})
        return
    console = page()
    console.print(f"wrote {count} briefs to {folder}", soft_wrap=True)
    console.print("next: answer them, then")
    console.print(f"  simbench validate {folder} ANSWERS", soft_wrap=True)
    console.print(f"  simbench score {run_} --answers ANSWERS --name vendor", soft_wrap=True)


@click.command(epilog=example("simbench validate task answers"))
@click.argument("task_folder", metavar="TASK", type=click.Path(path_type=Path))
@click.argument("answers", metavar="ANSWERS", type=click.Path(path_type=Path))
@json_option
@click.pass_context
def validate(context: click.Context, task_folder: Path, answers: Path, as_json: bool) -> None:
    """Explain everything that is wrong in a folder of answers. Exit code 2 if anything is; warnings are no fault."""
    from simbench.protocol.answers import validate as check

    if not answers.is_dir():
        raise BadInput(str(answers), "is no folder", "the folder of answers")
    told = check(task_folder, answers)
    if as_json:
        emit({"faults": told.faults, "understood": told.understood, "warnings": told.warnings})
    else:
        console = page()
        for fault in told.faults:
            console.print(str(fault))
        for warning in told.warnings:
            console.print(f"warning: {warning}")
        fields: dict[tuple[str, ...], int] = {}
        for names in told.understood.values():
            fields[names] = fields.get(names, 0) + 1
        for names, count in fields.items():
            console.print(f"{count} briefs: {', '.join(names) or 'nothing that can be used'}")
        console.print(f"{len(told.faults)} faults" if told.faults else "no fault")
    context.exit(BAD if told.faults else 0)
