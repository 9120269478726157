"""Becomes a background process: run by path with `python -P launch.py LOCKED_FD RECORD MODULE ARGUMENT…`.

The record with this process's id goes into the locked file before anything else, so that whoever finds the lock held
always finds the holder. A shell's `&` leaves SIGINT ignored, and Prefect's worker, which ends by a SIGINT to itself,
would then never stop; so it is restored. Imports nothing of SiteHaul and ends as `python -m MODULE ARGUMENT…`.
"""

import json
import os
import signal
import sys

if __name__ == "__main__":
    lock, record, command = int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps({**record, "pid": os.getpid()}).encode(), 0)
    os.execv(sys.executable, [sys.executable, "-m", *command])  # noqa: S606 - becoming the process is the point
