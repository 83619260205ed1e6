"""Records as bytes: an npz archive of arrays and a JSON tree that says how they belong together.

One form for what is stored and for what goes to another process; never anything that can run.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np

from simbench import records
from simbench.errors import BadInput

Array = Any
VERSION = 1

#: Records that may be packed, by name.
KNOWN: dict[str, Any] = {
    name: getattr(records, name)
    for name in (
        "Panel", "Future", "Problem", "Questions", "Context", "Brief", "Labels", "Diagnostics", "Answers", "Reading",
        "Optimum", "Truth", "Decision", "Decisions", "Cost", "Failure", "Sizes", "Form",
    )
}  # fmt: skip


def pack(value: Any) -> bytes:
    """Bytes of a tree of records, tuples, lists, mappings with text keys, arrays and plain values.

    Raises
    ------
    BadInput
        If something in it is none of these, or an array holds objects.
    """
    arrays: list[Array] = []
    tree = _taken_apart(value, arrays)
    buffer = io.BytesIO()
    head = np.frombuffer(json.dumps({"version": VERSION, "tree": tree}).encode(), dtype=np.uint8)
    np.savez(buffer, head=head, **{f"a{i}": x for i, x in enumerate(arrays)})
    return buffer.getvalue()


def unpack(content: bytes) -> Any:
    """What :func:`pack` was given; arrays as NumPy arrays.

    Raises
    ------
    BadInput
        If the bytes are not what `pack` writes (damaged, of another version, or hostile).
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            if any(member.compress_type != zipfile.ZIP_STORED for member in members.infolist()):
                raise BadInput("packed records", "are compressed", "what pack writes")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            head = json.loads(archive["head"].tobytes())
            if head["version"] != VERSION:
                raise BadInput("packed records", f"are of version {head['version']}", f"version {VERSION}")
            return _put_together(head["tree"], archive)
    except (
        zipfile.BadZipFile,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        EOFError,
        RecursionError,
    ) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput("packed records", f"cannot be read ({type(error).__name__}: {error})") from None


def _taken_apart(value: Any, arrays: list[Array]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    name = type(value).__name__
    if KNOWN.get(name) is type(value):
        fields = value._asdict() if hasattr(value, "_asdict") else vars(value)
        return {"record": name, "fields": {key: _taken_apart(item, arrays) for key, item in fields.items()}}
    if isinstance(value, tuple | list):
        return {type(value).__name__: [_taken_apart(item, arrays) for item in value]}
    if isinstance(value, dict):
        return {"dict": {str(key): _taken_apart(item, arrays) for key, item in value.items()}}
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise BadInput("records to pack", f"hold a {type(value).__name__}", "arrays of numbers")
    arrays.append(array)
    return {"array": len(arrays) - 1}


def _put_together(tree: Any, archive: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    if "array" in tree:
        return archive[f"a{int(tree['array'])}"]
    if "record" in tree:
        return KNOWN[tree["record"]](**{key: _put_together(item, archive) for key, item in tree["fields"].items()})
    if "dict" in tree:
        return {key: _put_together(item, archive) for key, item in tree["dict"].items()}
    kind = "tuple" if "tuple" in tree else "list"
    items = [_put_together(item, archive) for item in tree[kind]]
    return tuple(items) if kind == "tuple" else items
