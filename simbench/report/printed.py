"""Tables as text for papers and pages: numbers with their intervals, LaTeX and Markdown."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

from simbench.report.markdown import escaped as markdown
from simbench.report.words import clean

#: Signs that LaTeX reads as commands.
ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}",
}  # fmt: skip


class Cells(NamedTuple):
    """A table as text: what is printed, and which cells are alone at the top."""

    head: list[str]
    rows: list[list[str]]
    best: list[list[bool]]


def figure(value: float, digits: int = 2) -> str:
    """A number for a cell; "-" where there is none."""
    if not math.isfinite(value):
        return "-"
    said = f"{value:.{digits if abs(value) < 100 else 0}f}"
    return said.removeprefix("-") if float(said) == 0 else said


def between(row: Any, name: str) -> str:
    """A number with the ends of its interval."""
    value, low, high = (row[name + end] for end in ("", "_low", "_high"))
    return figure(value) + (f" [{figure(low)}, {figure(high)}]" if math.isfinite(low) and math.isfinite(high) else "")


def latex_table(told: Cells) -> str:
    """A table with booktabs rules."""
    words = texts(told)
    lines = [rf"\begin{{tabular}}{{{'l' * words}{'r' * (len(told.head) - words)}}}", r"\toprule"]
    lines += [" & ".join(map(latex, told.head)) + r" \\", r"\midrule"]
    for row, best in zip(told.rows, told.best, strict=True):
        parts = [*map(latex, row[:words]), *map(latex_number, row[words:])]
        marked = (rf"\textbf{{{x}}}" if top else x for x, top in zip(parts, best, strict=True))
        lines.append(" & ".join(marked) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def markdown_table(told: Cells) -> str:
    """A table of Markdown."""
    numbers = len(told.head) - texts(told)
    lines = [told.head, ["---"] * texts(told) + ["---:"] * numbers]
    for row, best in zip(told.rows, told.best, strict=True):
        lines.append([f"**{markdown(x)}**" if top else markdown(x) for x, top in zip(row, best, strict=True)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def texts(told: Cells) -> int:
    """How many of the first columns are words."""
    return 2 if told.head[0] == "scenario" else 1


def latex(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(ESCAPES.get(sign, sign) for sign in clean(text))


def latex_number(text: str) -> str:
    """A number with its interval; the minus of mathematics, and a dash where there is none."""
    return "--" if text == "-" else re.sub(r"-(?=[0-9])", "$-$", text)
