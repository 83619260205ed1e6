"""Files that a person can open, written whole or not at all."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simbench.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
#: A spreadsheet would run a cell that begins with one of these.
ACTIVE = ("=", "+", "-", "@", "\t", "\r")


def write_text(file: Path, text: str) -> None:
    """Write a file beside its place, then rename: it is whole or not there."""
    temporary = file.with_name(f".{file.name}.partial-{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        raise BadInput(str(file), f"cannot be written ({error.strerror})", "a folder that exists") from None
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(place: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder beside its place, then rename it into it; what was there before goes.

    Raises
    ------
    BadInput
        If the disk does not allow it; nothing is left behind, and what was there stays.
    """
    place = Path(os.path.abspath(place))
    temporary, old = (place.with_name(f".{place.name}.{word}-{os.getpid()}") for word in ("partial", "old"))
    try:
        temporary.mkdir(parents=True)
        fill(temporary)
        if place.exists():
            place.rename(old)
        temporary.rename(place)
    except OSError as error:
        raise BadInput(str(place), f"cannot be written ({error.strerror})", "another folder") from None
    finally:
        for leftover in (temporary, old):
            shutil.rmtree(leftover, ignore_errors=True)


def as_json(value: Any) -> str:
    """JSON of plain and NumPy values; what is not a finite number becomes null."""
    return json.dumps(_plain(value), indent=1, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def json_text(content: Mapping[str, Any]) -> str:
    """A JSON file that states its version."""
    return as_json({"schema_version": SCHEMA_VERSION, **content}) + "\n"


def csv_text(frame: pd.DataFrame) -> str:
    """A CSV file; numbers are written so that reading gives the same bits."""
    return harmless(frame).to_csv(index=False, date_format="%Y-%m-%d", lineterminator="\n")


def harmless(frame: pd.DataFrame) -> pd.DataFrame:
    """Text cells and column names that a spreadsheet would run get an apostrophe."""

    def quiet(cell: Any) -> Any:
        return f"'{cell}" if isinstance(cell, str) and cell.startswith(ACTIVE) else cell

    text = {name: frame[name].map(quiet) for name in frame if frame[name].dtype.kind not in "fiubM"}
    return frame.assign(**text).rename(columns=quiet)
