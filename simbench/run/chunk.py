"""Some worlds of one source: stored or drawn, and ready to value plans in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simbench.blocks import take
from simbench.decide.allocate import Value
from simbench.run import cells
from simbench.run.cells import Worlds
from simbench.run.plan import Source
from simbench.world.truth import Drawn, book_in, draw_transformed
from simbench.world.worth import Book, values

Array = Any


class Chunk:
    """Some worlds of one source while contenders are asked about them."""

    def __init__(self, source: Source, replicates: Sequence[int], master: bytes, folder: Path) -> None:
        self.source, self.replicates, self.master = source, tuple(replicates), master
        self.shelf = folder / "worlds" / source.folder
        self._drawn: Drawn | None = None
        self._book: Book | None = None
        self._worlds = cells.stored_worlds(self.shelf, self.replicates)

    @property
    def worlds(self) -> Worlds:
        """Briefs and truths, from their shelf or drawn and put there."""
        if self._worlds is None:
            self._drawn = draw_transformed(
                self.source.scenario, self.replicates, self.source.transform, master=self.master
            )
            truth: Any = self._drawn.truth
            self._worlds = Worlds(self.replicates, self._drawn.brief, truth, self._drawn.labels)
            cells.keep_worlds(self.shelf, self._worlds)
        return self._worlds

    @property
    def drawn(self) -> Drawn:
        """The worlds themselves, to value plans in; without truth where that is stored."""
        if self._drawn is None:
            self._drawn = draw_transformed(
                self.source.scenario, self.replicates, self.source.transform, truth=False, master=self.master
            )
        return self._drawn

    def value_of(self, replicates: Sequence[int]) -> Value:
        """What these worlds give for amounts."""
        rows = [self.replicates.index(replicate) for replicate in replicates]

        def worth(i: int, amounts: Array) -> tuple[Array, Array]:
            if self._book is None:
                self._book = book_in(self.drawn.secret, self.drawn.brief)
            book = self._book._replace(
                futures=take(self._book.futures, rows), worth=np.asarray(self._book.worth)[rows],
                keys=tuple(self._book.keys[row] for row in rows),
            )  # fmt: skip
            return values(book, take(self.worlds.brief.questions.problems[i], rows), amounts)

        return worth
