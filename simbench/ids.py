"""Canonical form, digests, cell ids and named random streams.

The only code of simbench that hashes or seeds. Formulas: docs/worlds.md, section 2.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

#: Master key of the open worlds; sealed runs bring their own 32 bytes.
OPEN_MASTER = hashlib.sha256(b"simbench open worlds 1").digest()

_local = threading.local()
_ZERO = np.zeros(4, dtype=np.uint64)


def canonical(value: Any) -> bytes:
    """RFC 8785 JSON of `value`: one byte string for equal content."""
    import rfc8785

    return rfc8785.dumps(value)


def digest(value: Any) -> str:
    """SHA-256 of the canonical form, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def file_digest(content: bytes) -> str:
    """SHA-256 of raw bytes (a data file a scenario refers to)."""
    return hashlib.sha256(content).hexdigest()


@lru_cache(maxsize=16)
def _hmac_contexts(master: bytes) -> tuple[Any, Any]:
    """SHA-256 after the inner and the outer key block of HMAC: copying them halves the cost of a stream."""
    if len(master) > 64:
        master = hashlib.sha256(master).digest()
    block = master.ljust(64, b"\0")
    inner, outer = (hashlib.sha256(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))
    return inner, outer


@lru_cache(maxsize=4096)
def _text(value: str) -> bytes:
    """Canonical JSON of a string."""
    return canonical(value)


def stream_bytes(master: bytes, family: str, replicate: int, stream: str) -> bytes:
    """The 32 bytes that key one named stream of one replicate of a family.

    HMAC-SHA256 (RFC 2104) of the canonical JSON ``[family, replicate, stream]``.
    """
    return streams(master, family, (replicate,), stream)[0]


def streams(master: bytes, family: str, replicates: Iterable[int], stream: str) -> list[bytes]:
    """:func:`stream_bytes` of several replicates; what they share is hashed once."""
    inner, outer = _hmac_contexts(master)
    inner = inner.copy()
    inner.update(b"[%b," % _text(family))
    last, keys = _text(stream), []
    for replicate in replicates:
        inside, outside = inner.copy(), outer.copy()
        inside.update(b"%d,%b]" % (replicate, last))
        outside.update(inside.digest())
        keys.append(outside.digest())
    return keys


def uniform(keys: Sequence[bytes]) -> np.ndarray:
    """One uniform number in (0, 1) from each stream's bytes: float64 [n]."""
    first = np.frombuffer(b"".join(keys), dtype="<u8").reshape(-1, 4)[:, 0]
    return ((first >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def generator(key: bytes) -> np.random.Generator:
    """A fresh ``Generator(Philox(key=...))`` over the first 16 bytes of a stream.

    One bit generator a thread is re-keyed instead of built anew (2 us against 15 us); the
    numbers are those of a new one. Use it up before asking for the next.
    """
    if not hasattr(_local, "generator"):
        _local.bits = np.random.Philox(key=0)
        _local.state = _local.bits.state
        _local.generator = np.random.Generator(_local.bits)
    state = _local.state
    state["state"]["key"] = np.frombuffer(key[:16], dtype="<u8")
    state["state"]["counter"] = _ZERO
    state["buffer_pos"], state["has_uint32"], state["uinteger"] = 4, 0, 0
    _local.bits.state = state
    return _local.generator


def backend_key(master: bytes, family: str, replicate: int, backend: str) -> np.ndarray:
    """Eight bytes for a backend, as the [2] uint32 data of a JAX key."""
    raw = stream_bytes(master, family, replicate, f"backend:{backend}")
    return np.frombuffer(raw[:8], dtype="<u4").copy()


def cell_id(source: str, replicate: int, backend: str) -> str:
    """Identity of a cell, compared as a string: of its source, its world, and its contender.

    Parameters
    ----------
    source : str
        Digest of scenario, transform of the brief and master key.
    replicate : int
    backend : str
        Digest of the contender's identity.
    """
    return digest({"source": source, "replicate": replicate, "backend": backend})
