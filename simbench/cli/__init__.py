"""The command line: thin verbs over public functions. Everything heavy is imported inside a verb."""

from __future__ import annotations

import sys
from io import TextIOWrapper

import click

from simbench.cli.checking import check
from simbench.cli.common import Verbs
from simbench.cli.keeping import doctor, lock
from simbench.cli.listing import list_
from simbench.cli.looping import loop
from simbench.cli.reading import inspect, score, task, validate
from simbench.cli.reporting import compare, report
from simbench.cli.running import demo, run
from simbench.cli.starting import new, schema
from simbench.cli.worlds import draw, show


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        import simbench

        click.echo(f"simbench {simbench.__version__}")
        context.exit()


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Print the version."
)
def main() -> None:
    """Benchmark marketing mix models on simulated worlds whose truth is known.

    \b
    Begin with:
      simbench list
      simbench show clean
      simbench run clean --backend ols
    """  # noqa: D301  click looks for the letter, not for its name
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without the signs still gets the numbers


for _verb in (
    list_, show, draw, check, run, loop, score, report, compare, inspect, task, validate, demo, new, schema, lock,
    doctor,
):  # fmt: skip
    main.add_command(_verb)
