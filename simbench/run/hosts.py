"""Host processes: the settings of a process that computes, and the driver's end of one that is watched.

Settings are made by verbs that compute, never at import: a library that is imported must not change JAX.
"""

from __future__ import annotations

import json
import os
import platform
import selectors
import signal
import struct
import subprocess
import sys
import time
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from simbench import ids
from simbench.run.pulse import Pulse

#: Libraries that would start a thread a core: a host has one core. NPROC is read by XLA.
ONE_THREAD = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NPROC",
)  # fmt: skip

#: Every message: this mark, its number, its length, its bytes.
HEADER = struct.Struct("<8sQQ")
MARK = b"simbench"
LONGEST = 1 << 30  #: bytes a message may have
LOG = 1 << 16  #: bytes that are kept of what a host prints
START = 120.0  #: seconds a host may take until it listens

#: Address space that JAX reserves when it starts, and hardly uses.
RESERVED = 1 << 30
OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "MemoryError", "bad_alloc", "annot allocate memory", "ut of memory")


# --- settings of this process


def user_cache() -> Path:
    """The folder for caches of this user and platform."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    # the standard says: a relative path is to be ignored
    given = os.environ.get("XDG_CACHE_HOME", "")
    return Path(given) if os.path.isabs(given) else Path.home() / ".cache"


def cpu_flags() -> str:
    """What the processor can do; a program compiled for another one must not be loaded."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features")))
    return " ".join(sorted(next(named, "").split()))


def compile_cache() -> Path:
    """Where compiled programs are kept: one folder a processor and JAX version."""
    versions = {name: metadata.version(name) for name in ("jax", "jaxlib")}
    host = {"flags": cpu_flags(), "machine": platform.machine(), **versions}
    return user_cache() / "simbench" / "jax" / ids.digest(host)[:16]


def prepare_process(given: str | Path | None = None) -> Path | None:
    """Keep compiled programs on disk, so that a second run starts in seconds.

    Parameters
    ----------
    given : path, optional
        The folder, if not the user's own.

    Returns
    -------
    Path or None
        The folder in use: one that was already set stays; None where none can be written.
    """
    import jax

    settings: Any = jax.config  # its attributes are made at run time
    if settings.jax_compilation_cache_dir:
        return Path(settings.jax_compilation_cache_dir)
    try:
        folder = Path(given) if given else compile_cache()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # no home, or a read-only one: everything works, only slower
        return None
    settings.update("jax_compilation_cache_dir", str(folder))
    settings.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    settings.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder


def cores() -> list[int]:
    """Numbers of the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin(core: int) -> None:
    """Stay on one core, where the system can: programs compiled by JAX have hung with more than one thread."""
    if hasattr(os, "sched_setaffinity"):
        with suppress(OSError):
            os.sched_setaffinity(0, {core})


def limit_memory(extra: int) -> None:
    """Let this process take so many bytes more address space than it has now, and write no core dumps."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, ValueError):  # no /proc, or a system without this limit
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, 2 * (now + RESERVED + extra,))


def peak_bytes() -> float:
    """Highest resident memory of this process and of the programs it ran, since :func:`forget_peak`."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    programs = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return float(max(programs, 1024 * int(next(x for x in lines if x.startswith("VmHWM")).split()[1])))
    return float(max(programs, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit))


def forget_peak() -> None:
    """Measure the peak of resident memory from now on, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


# --- the driver's end of a host


class Broken(Exception):
    """A host that did not answer as it should; it is of no further use."""

    def __init__(self, reason: str, detail: str, taken: bool = True) -> None:
        self.reason, self.detail = reason, detail  #: as in a Failure
        self.taken = taken  #: the host had taken up what it was asked
        super().__init__(detail)


class Hung(Broken):
    """A host that has fallen asleep over what it was asked."""

    def __init__(self, seconds: float) -> None:
        super().__init__("timeout", f"its process hangs: no answer, and no CPU time used for {seconds:g} s")


class Host:
    """A process in a session of its own that runs simbench/run/worker.py and answers messages.

    It is used by one thread; only :meth:`kill` may be called by another.

    Parameters
    ----------
    core : int
        It stays on this one.
    memory : int
        Bytes it may take above what it has when it listens.
    """

    def __init__(self, core: int, memory: int) -> None:
        root = str(Path(__file__).resolve().parents[2])
        before = os.environ.get("PYTHONPATH")
        take, self._requests = os.pipe()
        self._replies, give = os.pipe()
        self._noise, print_to = os.pipe()
        settings = {
            "requests": take, "replies": give, "core": core, "memory": memory, "cache": _cache_in_use(), "path": before,
            "modules": sys.path,
        }  # fmt: skip
        environment = dict(os.environ, **dict.fromkeys(ONE_THREAD, "1"), PYTHONHASHSEED="0")
        # the same simbench as here, whatever lies in the working folder (-P) or is installed
        environment["PYTHONPATH"] = root + (os.pathsep + before if before else "")
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "simbench.run.worker", json.dumps(settings)],
                stdin=subprocess.DEVNULL, stdout=print_to, stderr=print_to, env=environment,
                pass_fds=(take, give), start_new_session=True,
            )  # fmt: skip
        except BaseException:
            for end in (self._requests, self._replies, self._noise):
                os.close(end)
            raise
        finally:
            for end in (take, give, print_to):
                os.close(end)
        for end in (self._requests, self._replies, self._noise):
            os.set_blocking(end, False)
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._replies, selectors.EVENT_READ)
        self._ready.register(self._noise, selectors.EVENT_READ)
        self._came = bytearray()
        self._log = bytearray()
        self._number = 0
        self._taken = False

    def listen(self) -> None:
        """Wait until it has started; raises Broken."""
        until = time.monotonic() + START
        while not self._taken:
            self._step(until, START)

    def ask(self, message: bytes, seconds: float, sleep: float | None = None) -> bytes:
        """Send a message and wait for the reply, `sleep` seconds at most while the host does nothing.

        Raises
        ------
        Broken
            If there is none in time, it is nonsense, or the process ended; `Hung` if it sleeps for too long.
        """
        self._number, self._taken = self._number + 1, False
        self._log.clear()
        self._left = memoryview(HEADER.pack(MARK, self._number, len(message)) + message)
        self._ready.register(self._requests, selectors.EVENT_WRITE)
        until = time.monotonic() + seconds
        pulse = None if sleep is None else Pulse(self.process.pid, sleep)
        while (reply := self._step(until, seconds, pulse)) is None:
            pass
        return reply

    def fit(self) -> bool:
        """It lives, and has said nothing unasked."""
        return self.process.poll() is None and not self._came and not self._readable(self._replies)

    def log(self) -> str:
        """The last it has printed since it was asked."""
        for _ in range(2 * LOG // 4096):  # what is in the pipe, and no more: it may be printing for ever
            if not self._readable(self._noise) or not self._listen_to_noise():
                break
        return self._log.decode("utf-8", "replace")

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send the whole group a signal, without waiting."""
        with suppress(ProcessLookupError, PermissionError):  # gone, or only its remains are left
            os.killpg(self.process.pid, number)

    def end(self, grace: float = 0.0) -> str:
        """End the process and all it started, in `grace` seconds if it can; gives the log."""
        if grace:
            self.kill(signal.SIGTERM)
            until = time.monotonic() + grace
            while self.process.poll() is None and time.monotonic() < until:
                self.log()
                time.sleep(0.01)
        log = self.log()
        self.kill()
        self.process.wait()
        self._ready.close()
        for end in (self._requests, self._replies, self._noise):
            os.close(end)
        return log

    def _step(self, until: float, seconds: float, pulse: Pulse | None = None) -> bytes | None:
        """Move what can be moved; the reply once it is there in full."""
        wake = until if pulse is None else min(until, pulse.due())
        events = self._ready.select(max(0.0, wake - time.monotonic()))
        if time.monotonic() >= until:
            raise Broken("timeout", f"no answer within {seconds:g} s")
        if pulse is not None and not events and pulse.hung():
            raise Hung(pulse.limit)
        for key, _ in events:
            if key.fd == self._noise:
                self._listen_to_noise()
            elif key.fd == self._requests:
                self._send()
            else:
                content = os.read(self._replies, 1 << 20)
                if not content:
                    raise self._ended()
                self._came += content
        return self._message()

    def _send(self) -> None:
        try:
            self._left = self._left[os.write(self._requests, self._left[: 1 << 16]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            raise self._ended() from None
        if not self._left:
            self._ready.unregister(self._requests)

    def _message(self) -> bytes | None:
        """The reply; before it an empty one, which says that the request is taken up."""
        while self._came:
            if not MARK.startswith(self._came[: len(MARK)]):
                raise Broken("error", f"the host answered nonsense: {bytes(self._came[:40])!r}")
            if len(self._came) < HEADER.size:
                return None
            _, number, length = HEADER.unpack_from(self._came)
            if number != self._number or length > LONGEST or (length == 0) == self._taken:
                raise Broken("error", f"the host answered nonsense: message {number} of {length} bytes")
            end = HEADER.size + length
            if len(self._came) < end:
                return None
            content = bytes(self._came[HEADER.size : end])
            del self._came[:end]
            if content and self._came:
                raise Broken("error", f"the host answered nonsense after its answer: {bytes(self._came[:40])!r}")
            if content:
                return content
            self._taken = True
        return None

    def _ended(self) -> Broken:
        try:
            code = self.process.wait(2.0)
        except subprocess.TimeoutExpired:
            return Broken("error", "the host closed its pipes")
        if any(word in self.log() for word in OUT_OF_MEMORY):
            return Broken("memory", f"out of memory; {ending(code)}", self._taken)
        return Broken("error", ending(code), self._taken)

    def _readable(self, end: int) -> bool:
        with selectors.DefaultSelector() as ready:
            ready.register(end, selectors.EVENT_READ)
            return bool(ready.select(0))

    def _listen_to_noise(self) -> bool:
        """Take in what was printed; False at its end."""
        content = os.read(self._noise, 1 << 16)
        if not content:
            with suppress(KeyError):
                self._ready.unregister(self._noise)
            return False
        self._log += content
        del self._log[:-LOG]
        return True


def ending(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"process ended with code {code}"
    with suppress(ValueError):
        return f"process ended by signal {-code} ({signal.Signals(-code).name})"
    return f"process ended by signal {-code}"


def _cache_in_use() -> str | None:
    """The compile cache that this process has set."""
    jax = sys.modules.get("jax")
    return jax.config.jax_compilation_cache_dir if jax is not None else None
