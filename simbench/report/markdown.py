"""Markdown from text and rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from simbench.report.words import clean


def escaped(text: str) -> str:
    """Text that stays in its cell of a Markdown table, and means nothing there."""
    return re.sub(r"([\\|`*<])", r"\\\1", clean(text))


def grid(head: Sequence[str], rows: Iterable[Sequence[str]], words: int | None = None) -> str:
    """A table of cells that are Markdown already; columns from `words` on hold numbers (default: none)."""
    words = len(head) if words is None else words
    lines = [head, ["---"] * words + ["---:"] * (len(head) - words), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
