"""Contenders that are programs: a task folder in, an answers folder out. Format: docs/protocol.md."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from simbench import ids
from simbench.backends import guard
from simbench.backends.base import Backend, everything
from simbench.errors import BadInput
from simbench.protocol.answers import answered, read_answer
from simbench.protocol.reading import printable
from simbench.protocol.task import neutral_labels, opaque_ids, write_task
from simbench.records import Answers, Brief, Failure

Key = Any

#: Briefs a call.
BLOCK = 16
#: Seconds a call may take.
SECONDS = 3600.0
#: Seconds between asking the program to end and killing it.
GRACE = 5.0
#: Exit code of a program that cannot answer such briefs at all.
UNSUPPORTED = 64
#: What a program sees of the environment.
PASSED = ("PATH", "LANG", "PYTHONPATH")
#: As much of the end of standard error is read.
TAIL_BYTES = 8192
TAIL_LINES = 5
PREFIX = "command:"


class Ended(NamedTuple):
    """How a call ended."""

    code: int | None  #: None: it took too long
    lines: tuple[str, ...]  #: the last ones of standard error

    @property
    def words(self) -> str:
        """One line."""
        code = self.code or 0
        how = f"was ended by signal {code - 128}" if code > 128 else f"ended with code {code}"
        return f"the program {how}: {' | '.join(self.lines)}" if self.lines else f"the program {how} and no message"


def command_backend(
    name: str,
    argv: Sequence[str],
    *,
    version: str = "1",
    config: Mapping[str, Any] | None = None,
    code: str = "",
    seconds: float = SECONDS,
    block: int = BLOCK,
    grace: float = GRACE,
    supports: Callable[[Brief], str | None] = everything,
    tags: Sequence[str] = ("command",),
    handles: Collection[str] = (),
) -> Backend:
    """Lift a program to a backend.

    It is called as ``argv + ["--task", DIR, "--answers", DIR]``: exit code 0 means answered, 64 means
    that it answers no such briefs (the last line of its standard error says why), any other that it
    failed. Answers that are there after a failure count; the briefs without one are sent again,
    once. A brief still without an answer is a `Failure` with the end of standard error.

    The program runs without a shell, in a process group of its own, with PATH, LANG and PYTHONPATH of
    this process and an empty HOME; whatever it leaves running is killed. Names of channels, geos and
    controls are neutral (``channel-1``); what kind a channel is of stands in context.json.

    Parameters
    ----------
    name : str
    argv : sequence of str
        Program and arguments.
    code : str
        Digest of the program's code: part of identity.
    seconds : float
        Longest time of a call; then the group is asked to end, and killed `grace` seconds later.
    block : int
        Briefs a call.

    Returns
    -------
    Backend
    """
    words = [os.fspath(word) for word in argv]
    if not words:
        raise BadInput(name, "no program is named", "a program and its arguments")

    def answer(briefs: Sequence[Brief], keys: Sequence[Key]) -> list[Answers | Failure]:
        if len(briefs) != len(keys):
            raise BadInput(name, f"{len(briefs)} briefs and {len(keys)} keys", "one key a brief")
        replies: list[Answers | Failure] = []
        for start in range(0, len(briefs), block):
            part = slice(start, start + block)
            replies += _asked(words, briefs[part], keys[part], seconds, grace)
        return replies

    return Backend(
        name, version, dict(config or {}), answer, block, supports, frozenset(tags), frozenset(handles), code=code
    )


def from_command(text: str) -> Backend:
    """The backend of ``command:PROGRAM ARGUMENTS``, words parted as a shell does.

    Arguments that are files are taken from the present folder and remembered by their full path.
    Their bytes are the backend's code: change one and it is another column.

    Raises
    ------
    BadInput
        If no program is named, it is not there, or the words have an open quote.
    """
    try:
        words = shlex.split(text.removeprefix(PREFIX))
    except ValueError as error:
        raise BadInput(f"backend {text!r}", str(error).lower(), "words and quotes as a shell has them") from None
    if not words:
        raise BadInput(f"backend {text!r}", "names no program", f"'{PREFIX}PROGRAM ARGUMENTS'")
    if not os.path.exists(words[0]) and shutil.which(words[0]) is None:
        raise BadInput(f"backend {text!r}", f"program {words[0]!r} is not there", "a file, or a program of PATH")
    full = [os.path.abspath(word) if os.path.exists(word) else word for word in words]
    told = [os.path.basename(word) if os.path.isabs(word) else word for word in full]
    files = [word for word in full if os.path.isfile(word)]
    code = ids.digest([ids.file_digest(Path(file).read_bytes()) for file in files])
    script = next((word for word in files if word != full[0]), full[0])
    name = os.path.splitext(os.path.basename(script))[0]
    made = command_backend(name, full, config={"command": shlex.join(told)}, code=code)
    return made._replace(spec=PREFIX + shlex.join(full))


# --- one block


def _asked(
    argv: Sequence[str], briefs: Sequence[Brief], keys: Sequence[Key], seconds: float, grace: float
) -> list[Answers | Failure]:
    """Replies to some briefs: one call, one more for those that a failed program left out, then each alone.

    A brief that ends the program takes none of the others with it; a program that answers nobody is
    not asked about everybody.
    """
    names = opaque_ids(keys)
    replies: dict[str, Answers | Failure] = {}
    ended = Ended(0, ())

    def call(asked: Sequence[int]) -> Ended:
        told = ([briefs[i] for i in asked], [keys[i] for i in asked], [names[i] for i in asked])
        ended, came = _call(argv, *told, seconds, grace)
        replies.update(came)
        return ended

    def left() -> list[int]:
        return [i for i, name in enumerate(names) if name not in replies]

    for _ in range(2):
        ended = call(left())
        if not left() or ended.code in (0, None, UNSUPPORTED):
            return [replies.get(name) or _left_out(ended, seconds) for name in names]
    for i in left() if replies or len(names) > 1 else ():
        alone = call([i])
        if names[i] not in replies:
            replies[names[i]] = _left_out(alone, seconds)
            if not any(isinstance(reply, Answers) for reply in replies.values()):
                break
    return [replies.get(name) or _left_out(ended, seconds) for name in names]


def _left_out(ended: Ended, seconds: float) -> Failure:
    if ended.code is None:
        return Failure("timeout", f"the program took longer than {seconds:g} s")
    if ended.code == UNSUPPORTED:
        return Failure("unsupported", ended.lines[-1] if ended.lines else "the program did not say why")
    if ended.code == 0:
        return Failure("error", "the program ended well, but left no answer to this brief")
    return Failure("error", ended.words)


def _call(
    argv: Sequence[str],
    briefs: Sequence[Brief],
    keys: Sequence[Key],
    names: Sequence[str],
    seconds: float,
    grace: float,
) -> tuple[Ended, dict[str, Answers | Failure]]:
    """Run the program once; what it has answered by its end."""
    labels = [neutral_labels(brief) for brief in briefs]
    with tempfile.TemporaryDirectory(prefix="simbench-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        write_task(place / "task", briefs, labels, keys, names)
        (place / "answers").mkdir()
        (place / "home").mkdir()
        ended = _run([*argv, "--task", str(place / "task"), "--answers", str(place / "answers")], place, seconds, grace)
        os.rename(place / "answers", place / "closed")  # what is still running does not find it any more
        came = {
            name: read_answer(place / "closed", name, brief, words)
            for name, brief, words in zip(names, briefs, labels, strict=True)
            if answered(place / "closed", name)
        }
        return ended, came


def _run(argv: Sequence[str], place: Path, seconds: float, grace: float) -> Ended:
    """Run a program under guard, in a process group that is gone when this returns or raises."""
    environment = {name: os.environ[name] for name in PASSED if name in os.environ} | {"HOME": str(place / "home")}
    guarded = [sys.executable, "-I", "-S", str(guard.__file__), *argv]
    with open(place / "stdout", "wb") as out, open(place / "stderr", "wb") as err:
        process = subprocess.Popen(
            guarded, stdin=subprocess.PIPE, stdout=out, stderr=err, env=environment, start_new_session=True
        )
    try:
        code = _waited(process, seconds)
        if code is None:
            os.killpg(process.pid, signal.SIGTERM)
            _waited(process, grace)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
    return Ended(code, _last_lines(place / "stderr"))


def _waited(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def _last_lines(file: Path) -> tuple[str, ...]:
    """The last lines of what a program said, as far as a terminal can show them."""
    with open(file, "rb") as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL_BYTES))
        lines = stream.read(TAIL_BYTES).decode("utf-8", errors="replace").splitlines()
    shown = (printable(line.strip(), 300) for line in lines)
    return tuple([line for line in shown if line][-TAIL_LINES:])
