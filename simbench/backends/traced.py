"""Programs whose traced form is kept on disk: tracing one anew takes longer than loading what was compiled of it.

Only processes that run this package as it stands on disk may keep, or take, anything: the hosts of a run. Any
other traces for itself, as ``jax.jit`` does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import jax
import numpy as np
from jax import export

from simbench import ids

Array = Any
_folder: Path | None = None


def keep_in(folder: Path | None) -> None:
    """Keep traced programs of this process in a folder that is this user's own; None: nowhere."""
    global _folder
    _folder = folder


def known(record: type) -> type:
    """Let kept programs give back a record, a NamedTuple; as a decorator."""
    export.register_namedtuple_serialization(record, serialized_name=f"{record.__module__}.{record.__name__}")
    return record


def traced(program: Callable[..., Any], *what: Any) -> Callable[..., Any]:
    """``jax.jit(program)``, traced once for all hosts.

    Parameters
    ----------
    program : callable
        Pure: pytrees of arrays -> pytree of arrays, made of tuples, lists, dicts and records that are `known`.
    what
        All that tells it from other programs, besides its arguments and the code of this package; by `repr`.
    """
    plain = jax.jit(program)
    made: dict[Any, Callable[..., Any]] = {}

    def call(*arguments: Any) -> Any:
        if _folder is None:
            return plain(*arguments)
        leaves, tree = jax.tree.flatten(arguments)
        # what a number is depends on the precision of the call
        asked = (tree, tuple(jax.typeof(x) for x in leaves), jax.dtypes.canonicalize_dtype(np.float64))
        if asked not in made:
            made[asked] = jax.jit(_kept(_folder, program, what, *asked).call)
        return made[asked](*leaves)

    return call


def _kept(
    folder: Path, program: Callable[..., Any], what: Sequence[Any], tree: Any, types: Sequence[Any], number: Any
) -> export.Exported:
    """The program of leaves: read from the folder, or traced and written."""
    from simbench.backends.registry import native_code

    versions = {name: version(name) for name in ("jax", "jaxlib", "numpyro", "numpy")}
    name = ids.digest({
        "what": [repr(each) for each in what], "code": native_code(), "versions": versions, "tree": str(tree),
        "types": [str(each) for each in types], "number": str(number), "platform": jax.default_backend(),
    })  # fmt: skip
    file = folder / name
    with suppress(Exception):  # not there, or spoilt: as if there were none
        return export.deserialize(bytearray(file.read_bytes()))
    told = export.export(jax.jit(lambda *leaves: program(*jax.tree.unflatten(tree, leaves))))(*types)
    with suppress(OSError):  # a full or read-only disk costs the next process time, nothing else
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder, delete=False) as partial:
            partial.write(told.serialize())
        os.replace(partial.name, file)
    return told
