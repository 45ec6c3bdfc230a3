"""Runs a command and prints what it cost: python -IS timed.py LOG COMMAND...

A process of its own, as small as can be: on Linux the peak memory that a child is charged with is
at least that of the process that started it.
"""

import json
import os
import sys
import time

if __name__ == "__main__":
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    command = sys.argv[2:]
    start = time.perf_counter()
    child = os.posix_spawnp(
        command[0],
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, log, output) for output in (1, 2)],
    )
    _, status, used = os.wait4(child, 0)
    wall = time.perf_counter() - start
    cost = {"cpu": used.ru_utime + used.ru_stime, "wall": wall, "peak": used.ru_maxrss * 1024}
    print(json.dumps({"status": os.waitstatus_to_exitcode(status), **cost}))
