"""Blocks on disk: whole or not there, and never changed once they are.

A shelf is a folder of blocks; a block holds some replicates of one thing (worlds, answers, scores).
Its name says which replicates, and the digest of its bytes: ``0-15_20.1f0c...npz``. Looking at the
names is all it takes to know what is there; reading compares the digest. A block is written under
a name of its own beside its place, flushed to the disk and renamed, so that a killed process leaves
no half block; nothing is locked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from simbench import ids
from simbench.codec import pack, unpack
from simbench.errors import BadInput, Damaged

NAME = re.compile(r"(?P<ranges>[0-9]+(?:-[0-9]+)?(?:_[0-9]+(?:-[0-9]+)?)*)\.(?P<digest>[0-9a-f]{16})\.npz")
#: At most so many cells in one file: a crash costs little, and a file is worth its two waits for the disk.
CELLS = 64
#: Letters of a name that ranges may take; file systems allow 255 in all.
LONGEST = 160


def ranges(numbers: Sequence[int]) -> str:
    """``0,1,2,5`` -> ``0-2_5``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return "_".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)


def parts(numbers: Sequence[int]) -> list[list[int]]:
    """Replicates in as few blocks as their names have room for."""
    ordered = sorted(numbers)
    if len(ordered) <= CELLS and len(ranges(ordered)) <= LONGEST:
        return [ordered]
    middle = len(ordered) // 2
    return [*parts(ordered[:middle]), *parts(ordered[middle:])]


def numbers(text: str) -> tuple[int, ...]:
    """``0-2_5`` -> ``0,1,2,5``."""
    out: list[int] = []
    for part in filter(None, text.split("_")):
        first, _, last = part.partition("-")
        out += range(int(first), int(last or first) + 1)
    return tuple(out)


def shelf(folder: Path) -> dict[int, Path]:
    """Which block of a folder holds each replicate; where two do, the first by name counts."""
    found: dict[int, Path] = {}
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return found
    for name in names:
        match = NAME.fullmatch(name)
        if match:
            place = folder / name
            for replicate in numbers(match["ranges"]):
                found.setdefault(replicate, place)
    return found


def write(folder: Path, replicates: Sequence[int], content: Any) -> Path:
    """Put a block on a shelf.

    Raises
    ------
    BadInput
        If the disk is full or the folder cannot be written; nothing is left behind.
    """
    packed = pack(content)
    return put(folder, f"{ranges(replicates)}.{ids.file_digest(packed)[:16]}.npz", packed)


def put(folder: Path, name: str, content: bytes, *, lasting: bool = True) -> Path:
    """Write bytes under a name, whole or not at all.

    `lasting` waits for the disk: what cannot be made again must survive a power cut.
    """
    place, temporary = folder / name, folder / f".{name}.{os.getpid()}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, place)
        if lasting:
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise BadInput(
            str(place), f"cannot be written ({error.strerror})", "free space, and a folder of yours"
        ) from None
    return place


def read(place: Path) -> Any:
    """What a block holds.

    Raises
    ------
    Damaged
        If its bytes are not those that were written. The file is set aside under ``.damaged``, so
        that what it held counts as missing and is made again.
    """
    match = NAME.fullmatch(place.name)
    content = place.read_bytes()
    if match is None or ids.file_digest(content)[:16] != match["digest"]:
        place.rename(place.with_name(place.name + ".damaged"))
        raise Damaged(str(place), "is not what was written", "run again: it was set aside and will be made anew")
    return unpack(content)


def several(places: Iterable[Path]) -> list[Any]:
    """Blocks, each read once, in the order given."""
    return [read(place) for place in dict.fromkeys(places)]
