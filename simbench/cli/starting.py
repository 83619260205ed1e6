"""Verbs to begin with: new, schema."""

from __future__ import annotations

import json
from pathlib import Path

import click

from simbench.cli.common import emit, example, force_option, free, json_option, page
from simbench.errors import BadInput


@click.group()
def new() -> None:
    """Begin something of your own."""


@new.command(
    "scenario",
    epilog=example(
        "simbench new scenario my-world",
        "simbench new scenario my-world --spend weekly.csv --columns tv,radio --date week",
    ),
)
@click.argument("name")
@click.option("--spend", type=click.Path(path_type=Path), help="Weekly CSV file whose spend the world shall have.")
@click.option("--columns", help="Spend columns, separated by commas; guessed if not given.")
@click.option("--date", help="Date column; guessed if not given.")
@click.option("--out", type=click.Path(path_type=Path), default=Path(), help="Folder that exists. [default: this one]")
@force_option
@json_option
def scenario(
    name: str,
    spend: Path | None,
    columns: str | None,
    date: str | None,
    out: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Write a scenario file, checked and with comments.

    With --spend it is a world around your own spend: its correlations and gaps, under a known truth.
    """
    from simbench.cli.starter import recorded, starter

    if not out.is_dir():
        raise BadInput(str(out), "is no folder", "a folder that exists")
    if spend is None:
        if columns or date:
            raise BadInput("--columns", "is of no use without a file", "--spend FILE.csv")
        started = starter(name, out, force=force)
    else:
        wanted = [column.strip() for column in (columns or "").split(",") if column.strip()]
        started = recorded(name, spend, out, columns=wanted, date=date, force=force)
    if as_json:
        data = None if started.data is None else str(started.data)
        emit({"scenario": str(started.scenario), "data": data, "notes": list(started.notes)})
        return
    console = page()
    for note in started.notes:
        console.print(note)
    console.print(f"wrote {started.scenario}" + (f" and {started.data}" if started.data else ""))
    console.print("next:")
    console.print(f"  simbench show {started.scenario}")
    console.print(f"  simbench run {started.scenario} --backend ols --backend spend-share --replicates 8")


@new.command("backend", epilog=example("simbench new backend my_model", "simbench check my_model.py:my_model"))
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), default=Path(), help="Folder that exists. [default: this one]")
@force_option
@json_option
def backend(name: str, out: Path, force: bool, as_json: bool) -> None:
    """Write a Python file with a small contender of your own, with comments.

    It works as it is; NAME is what the file, its function and its column in tables are called.
    """
    from simbench.cli.checking import write_backend

    written = write_backend(name, out, force=force)
    if as_json:
        emit({"file": str(written.file), "backend": written.spec})
        return
    console = page()
    console.print(f"wrote {written.file}")
    console.print("next:")
    console.print(f"  simbench check {written.spec}")
    console.print(f"  simbench run clean --backend {written.spec} --backend ols --replicates 8")


@click.command(epilog=example("simbench schema --out scenario.schema.json"))
@click.option("--out", type=click.Path(path_type=Path), help="File to write instead of printing.")
@force_option
@json_option
def schema(out: Path | None, force: bool, as_json: bool) -> None:
    """Print the JSON Schema of scenario files, for editors.

    An editor that knows TOML completes and checks a file that begins with '#:schema ./scenario.schema.json'.
    """
    from simbench.report.folders import write_text
    from simbench.world.scenario import json_schema

    text = json.dumps(json_schema(), indent=1) + "\n"
    if out is None:
        click.echo(text, nl=False)
        return
    free(out, force=force)
    write_text(out, text)
    if as_json:
        emit({"file": str(out)})
    else:
        page().print(f"wrote {out}")
