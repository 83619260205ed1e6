"""What every verb shares: faults, JSON, tables and progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from simbench.errors import BadInput, Damaged

if TYPE_CHECKING:
    from rich.console import Console

    from simbench.world.scenario import Scenario

SCHEMA_VERSION = 1
#: Columns of every printed page; a narrower terminal gets its own width.
WIDTH = 100
#: Seconds between two lines of progress where there is no terminal.
QUIET = 10.0
PASS, FAILED, BAD, NOTHING, FAILURES, INTEGRITY, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

_Verb = TypeVar("_Verb", bound=Callable[..., Any])


class Verbs(click.Group):
    """Bad input is one line on stderr and exit code 2, damaged files 5; Ctrl-C is 130; other faults are not hidden."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb."""
        try:
            return super().invoke(ctx)
        except BadInput as error:
            click.echo(f"error: {one_line(str(error))}", err=True)
            ctx.exit(INTEGRITY if isinstance(error, Damaged) else BAD)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)


def example(*lines: str) -> str:
    """The end of a verb's help: commands to copy."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def json_option(verb: _Verb) -> _Verb:
    """``--json``: machine output with stable keys."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON with stable keys.")(verb)


def force_option(verb: _Verb) -> _Verb:
    """``--force``: write over what is there."""
    return click.option("--force", is_flag=True, help="Replace what is there.")(verb)


def one_line(text: str) -> str:
    """Text without line breaks and control characters."""
    return " ".join("".join(c if c.isprintable() or c.isspace() else "?" for c in text).split())


def warn_of_successors(scenarios: Iterable[Scenario]) -> None:
    """A line on stderr for each file of scenarios that another has come for."""
    successors = {scenario.name.partition("[")[0]: scenario.superseded_by for scenario in scenarios}
    for name, successor in successors.items():
        if successor:
            click.echo(f"warning: {name} is superseded by {one_line(successor)}", err=True)


def emit(content: Mapping[str, Any]) -> None:
    """Print JSON: `schema_version` first, NaN and infinity as null."""
    from simbench.report.folders import as_json

    click.echo(as_json({"schema_version": SCHEMA_VERSION, **content}))


def page() -> Console:
    """Where a verb prints: names as they are, no trailing blanks, one width where there is no terminal."""
    from rich.console import Console

    class Page(Console):
        def print(self, *parts: Any, **style: Any) -> None:
            with self.capture() as caught:
                super().print(*parts, **style)
            click.echo("\n".join(line.rstrip() for line in caught.get().splitlines()))

    plain: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    found = Page(**plain)
    return found if found.is_terminal and found.width < WIDTH else Page(width=WIDTH, **plain)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Sequence[str] = ()) -> Any:
    """A rich table; columns named in `right` hold numbers."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for position, name in enumerate(columns):
        made.add_column(name, justify="right" if name in right else "left", overflow="fold", no_wrap=position == 0)
    for row in rows:
        made.add_row(*(str(cell) for cell in row))
    return made


@contextmanager
def progress(text: str, *, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Say on stderr what is being done, on a terminal only; the block may say more."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    console = Console(stderr=True, markup=False, emoji=False)
    with console.status(text) as status:
        yield lambda more: status.update(f"{text}: {more}")


@contextmanager
def counted(what: str = "cells", *, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Progress on stderr: a bar on a terminal, else a plain line now and then."""
    import sys
    import time

    if quiet:
        yield lambda text, done, total: None
        return
    if not sys.stderr.isatty():
        since = [time.monotonic()]

        def line(text: str, done: int, total: int) -> None:
            if time.monotonic() - since[0] >= QUIET:
                since[0] = time.monotonic()
                click.echo(f"{done}/{total} {what}, {text}", err=True)

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda text, done, total: bar.update(task, description=text, completed=done, total=total)


def free(file: Path, *, force: bool) -> None:
    """Refuse a file that is there already, unless forced."""
    if file.is_dir():
        raise BadInput(str(file), "is a folder", "the name of a file")
    if file.exists() and not force:
        raise BadInput(str(file), "exists already", "another name, or --force to replace it")
    if not file.parent.is_dir():
        raise BadInput(str(file), "is in a folder that does not exist", "a folder that exists")
