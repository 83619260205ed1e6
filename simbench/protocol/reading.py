"""Bytes from somebody else: caps first, then CSV, JSON or npz; faults are collected, never raised."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Array = Any

#: A CSV answer is no larger.
CSV_BYTES = 2**20
#: What a file may take beyond its numbers: names, headers, spaces.
SLACK = 2**20
#: Faults told of one file; more of them help nobody.
MOST = 50
#: Decimal numbers as programs and spreadsheets write them.
NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
EMPTY = ("", "NA")
PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Fault(NamedTuple):
    """One thing that is wrong: where, what, and what would be right."""

    file: str
    place: str  #: row and column, field and position; "" = the whole file
    what: str
    right: str

    def __str__(self) -> str:
        """One line."""
        where = f"{self.file}: {self.place}" if self.place else self.file
        return f"{where}: {self.what}" + (f"; {self.right}" if self.right else "")


class Faults:
    """Faults of one file, in the order found."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[Fault] = []

    @property
    def full(self) -> bool:
        """Enough has been told."""
        return len(self.found) > MOST

    def add(self, place: str, what: str, right: str = "") -> None:
        """Note a fault; after the first fifty only that there are more."""
        if len(self.found) < MOST:
            self.found.append(Fault(self.file, place, what, right))
        elif len(self.found) == MOST:
            self.found.append(Fault(self.file, "", "has more faults", "mend these first"))


def quoted(text: Any) -> str:
    """Somebody else's text in quotes, short and on one line; of anything else only what it is."""
    if not isinstance(text, str | int | float | tuple | Exception):
        return f"a {type(text).__name__}"
    words = str(text)
    return f"{printable(words, 60)!r}" + ("..." if len(words) > 60 else "")


def printable(text: str, most: int) -> str:
    """The first `most` characters, those that a terminal would obey as spaces."""
    return "".join(sign if sign.isprintable() else " " for sign in text[:most])


def read_bytes(file: Path, most: int, faults: Faults) -> bytes | None:
    """Content of a plain file of at most `most` bytes; links, pipes and folders are not followed."""
    flags = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    try:
        handle = os.open(file, flags)
    except OSError as error:
        what = "is a link" if error.errno == errno.ELOOP else f"cannot be read ({error.strerror})"
        faults.add("", what, "a plain file")
        return None
    try:
        status = os.fstat(handle)
        content = _all_of(handle, most + 1) if stat.S_ISREG(status.st_mode) and status.st_size <= most else b""
    except OSError as error:
        faults.add("", f"cannot be read ({error.strerror})", "a plain file")
        return None
    finally:
        os.close(handle)
    if not stat.S_ISREG(status.st_mode):
        faults.add("", "is no file", "a plain file")
        return None
    size = max(status.st_size, len(content))
    if size > most:
        faults.add("", f"has {size:,} bytes", f"at most {most:,}")
        return None
    if not content:
        faults.add("", "is empty", "an answer")
        return None
    return content


def _all_of(handle: int, most: int) -> bytes:
    with open(handle, "rb", closefd=False) as stream:
        return stream.read(most)


def text_of(content: bytes, faults: Faults) -> str | None:
    """UTF-8 text, with or without a byte-order mark."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        faults.add(f"byte {error.start}", "is not UTF-8", "UTF-8 text")
        return None
    if "\0" in text:
        faults.add(f"character {text.index(chr(0))}", "is NUL", "UTF-8 text")
        return None
    return text


# --- CSV


def read_rows(
    content: bytes, columns: Iterable[str], most: int, faults: Faults
) -> list[tuple[int, dict[str, str]]] | None:
    """Rows of a CSV file as (line, column -> cell); None where the header says nothing.

    Any newline and a byte-order mark are fine; columns come in any order.
    """
    text, known = text_of(content, faults), tuple(columns)
    if text is None:
        return None
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [cell.strip().lower() for cell in next(lines, [])]
        if len(header) == 1 and any(sign in header[0] for sign in ";\t|"):
            faults.add("row 1", f"columns are parted by {quoted(re.sub('[a-z _]', '', header[0])[0])}", "commas")
            return None
        for position, name in enumerate(header[:MOST]):
            if name not in known:
                faults.add("row 1", f"unknown column {quoted(name)}", f"columns of {', '.join(known)}")
            elif name in header[:position]:
                faults.add("row 1", f"column {name} comes twice", "each column once")
        rows: list[tuple[int, dict[str, str]]] = []
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if len(rows) == most or faults.full:
                faults.add(f"row {lines.line_num}", "is one of too many", f"at most {most} rows")
                return None
            if len(cells) != len(header):
                faults.add(f"row {lines.line_num}", f"has {len(cells)} cells", f"{len(header)}, as the header has")
                continue
            named = {name: cell.strip() for name, cell in zip(reversed(header), reversed(cells), strict=True)}
            rows.append((lines.line_num, named))
    except csv.Error as error:
        faults.add(f"row {lines.line_num}", f"cannot be read ({error})", "comma separated cells")
        return None
    return rows


def number_of(cell: str, place: str, faults: Faults) -> float | None:
    """The number in a cell; None where it is empty or none."""
    if cell in EMPTY:
        return None
    if not NUMBER.fullmatch(cell):
        right = "a decimal point, no comma" if re.fullmatch(r"[-+]?[0-9]+,[0-9]+", cell) else "a number such as 1234.5"
        faults.add(place, f"{quoted(cell)} is no number", right)
        return None
    value = float(cell)
    if not np.isfinite(value):
        faults.add(place, f"{quoted(cell)} is not finite", "a number below 1e308")
        return None
    return value


# --- JSON


def read_json(content: bytes, faults: Faults) -> dict[str, Any] | None:
    """A JSON object without a key twice."""
    text = text_of(content, faults)
    if text is None:
        return None

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: set[str] = set()
        for key, _ in items:
            if key in seen:
                faults.add(quoted(key), "comes twice", "each field once")
            seen.add(key)
        return dict(items)

    try:
        told = json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        faults.add("", f"is no JSON ({quoted(error)})", "a JSON object")
        return None
    if not isinstance(told, dict):
        faults.add("", f"holds a {type(told).__name__}", "a JSON object of fields")
        return None
    return told


def array_of(value: Any, name: str, faults: Faults) -> Array | None:
    """Nested lists of numbers (null where undefined) as an array."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack += item
        elif item is not None and (isinstance(item, bool) or not isinstance(item, int | float)):
            faults.add(name, f"holds {quoted(item)}", "numbers, or null where undefined")
            return None
    try:
        array = np.array(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        faults.add(name, "has rows of unequal length, or a number too large", "a full array of numbers")
        return None
    return array


# --- npz


def read_npz(content: bytes, largest: Mapping[str, int], faults: Faults) -> dict[str, Array]:
    """Arrays of an npz archive, none of them larger than its name allows; nothing in it can run.

    Parameters
    ----------
    content : bytes
    largest : mapping
        Known name -> largest size in bytes of its numbers.
    """
    found: dict[str, Array] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            seen: set[str] = set()
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if name not in largest or name == member.filename:
                    faults.add(quoted(name), "is an unknown field", "fields of docs/protocol.md")
                elif name in seen:
                    faults.add(name, "comes twice", "each field once")
                elif member.flag_bits & 1 or member.compress_type not in PLAIN:
                    faults.add(name, "is encrypted, or compressed in an unusual way", "numpy.savez_compressed")
                elif member.file_size > largest[name] + SLACK // 64:
                    faults.add(name, f"has {member.file_size:,} bytes", f"at most {largest[name]:,} of numbers")
                else:
                    with archive.open(member) as stream:
                        array = npy_of(stream.read(largest[name] + SLACK // 64), name, faults)
                    if array is not None:
                        found[name] = array
                seen.add(name)
    except (
        zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, RuntimeError,
        NotImplementedError, OverflowError, IndexError, KeyError,
    ) as error:  # fmt: skip
        faults.add("", f"is no npz archive ({quoted(error)})", "what numpy.savez writes")
    return found


def npy_of(content: bytes, name: str, faults: Faults) -> Array | None:
    """The array in the bytes of an npy file: real numbers or text, exactly as long as its header says."""
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in readers:
            raise ValueError(f"version {version} of npy")
        shape, fortran, dtype = readers[version](stream)
    except (ValueError, TypeError, EOFError, OverflowError, SyntaxError, RecursionError, MemoryError) as error:
        faults.add(name, f"is no npy array ({quoted(error)})", "what numpy.save writes")
        return None
    if dtype.kind not in "fiubU" or dtype.itemsize > (1024 if dtype.kind == "U" else 8):
        faults.add(name, f"is of type {dtype}", "real numbers of 64 bits or fewer")
        return None
    count, body = 1, content[stream.tell() :]
    for length in shape:
        count *= int(length)
    if count < 0 or count * dtype.itemsize != len(body) or len(shape) > 8:
        faults.add(name, f"has shape {quoted(shape)} and {len(body)} bytes", "the bytes its shape needs")
        return None
    array = np.frombuffer(body, dtype=dtype).reshape(shape, order="F" if fortran else "C")
    return array if dtype.kind == "U" else array.astype(np.float64)
