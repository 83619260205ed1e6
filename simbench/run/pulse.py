"""The pulse of a process: does it compute, or has all of it fallen asleep?

Read from Linux's /proc; where there is none, nobody is ever said to have hung.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

#: Looks at a process within the time it may sleep.
LOOKS = 10
#: States of a thread that does not sleep: it has a core or waits for one, for a disk, or was stopped from outside.
AWAKE = "RDTt"


class Pulse:
    """How long a process and all it has started have slept.

    They slept between two looks if they used no CPU time and every thread of theirs is found waiting. Looks are
    counted, not seconds: where this process or the machine stands still, a host is not blamed for the time.

    Parameters
    ----------
    pid : int
    limit : float
        Seconds of sleep after which it counts as hung.
    """

    def __init__(self, pid: int, limit: float) -> None:
        self.limit = limit
        self._pid, self._every, self._looked = pid, limit / LOOKS, time.monotonic()
        self._asleep, self._spent = 0, -1  # looks in a row; clock ticks

    def due(self) -> float:
        """When to look again, by the monotonic clock."""
        return self._looked + self._every

    def hung(self) -> bool:
        """Look, if it is time to: has it slept for as long as it may?"""
        now = time.monotonic()
        if now < self.due():
            return False
        self._looked = now
        try:
            spent, awake = signs(self._pid)
        except OSError:  # no /proc, or the process is gone
            return False
        self._asleep = 0 if awake or spent != self._spent else self._asleep + 1
        self._spent = spent
        return self._asleep >= LOOKS


def signs(pid: int) -> tuple[int, bool]:
    """CPU time in clock ticks that a process and all it has started have used, and whether any thread is awake.

    Raises
    ------
    OSError
        If nothing can be read about it.
    """
    home = Path("/proc", str(pid))
    spent, awake = sum(map(int, _fields(home)[11:15])), False
    for thread in (home / "task").iterdir():
        with suppress(OSError):  # it has just ended
            awake |= _fields(thread)[0] in AWAKE
            for child in (thread / "children").read_text().split():
                more, up = signs(int(child))
                spent, awake = spent + more, awake or up
    return spent, awake


def _fields(folder: Path) -> list[str]:
    """What its `stat` says from the state on; before it stands a name that may hold anything."""
    return (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
