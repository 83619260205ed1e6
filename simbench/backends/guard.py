"""Runs a program in this process group, and kills the group when whoever started it is gone.

Started by its path (``python -I -S guard.py PROGRAM ARGUMENTS``), so it imports only the standard
library. Its standard input is a pipe that the starter holds open; when the starter ends, however it
ends, the pipe closes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

#: Exit code where the program cannot be started, as shells have it.
NOT_STARTED = 127


def main(argv: list[str]) -> int:
    """Exit code of the program; 128 + n where signal n ended it."""
    signal.signal(signal.SIGTERM, lambda *_: None)  # the program gets it too, and may use its time to end well
    try:
        program = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", file=sys.stderr)
        return NOT_STARTED
    threading.Thread(target=_until_alone, daemon=True).start()
    code = program.wait()
    return code if code >= 0 else 128 - code


def _until_alone() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.stdout.flush()
    os._exit(main(sys.argv[1:]))
