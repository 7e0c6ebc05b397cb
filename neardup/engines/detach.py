"""Run as a script: starts a process that outlives its parent. Reads one JSON object on stdin, prints the pid.

A script of its own, because the caller may have threads (no fork there) and must not keep a child to wait for.
"""

import json
import os
import resource
import subprocess
import sys


def main() -> None:
    """Start `argv` in its own session, output appended to `log`, and leave it."""
    order = json.load(sys.stdin)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 1 << 20) if hard > 0 else 1 << 20, hard))
    account = {"user": order["uid"], "group": order["gid"], "extra_groups": []} if order["uid"] is not None else {}
    with open(order["log"], "ab") as log:  # noqa: PTH123 - quicker to import nothing
        process = subprocess.Popen(
            order["argv"],
            cwd=order["cwd"],
            env=order["env"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **account,
        )
    print(process.pid, flush=True)  # noqa: T201 - the answer
    os._exit(0)


if __name__ == "__main__":
    main()
