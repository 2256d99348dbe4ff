#!/usr/bin/env python3
"""Run a prepared EMO request: send it once, wait for its task, and fetch the video.

A video costs money. Run the same command until it ends with 0: killed, interrupted or out of
time, it goes on where it was, and pays once. Without a file it tells what tasks there are.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

OPTIONS = {  # field: commands, metavar ("" for a flag), help
    "file": ("", "[FILE]", "the prepared request; - is stdin; without it, the list of all tasks"),
    "dry_run": ("", "", "check everything, tell what would be sent, send nothing"),
    "no_wait": ("", "", "end when the task is made; run again without it for its video"),
    "attempt": ("", "N", "pay for the N-th task of the request, once the one before has ended"),
    "again": ("", "", ""),  # of earlier versions: it is told what to use instead
    "no_look": ("", "", "do not look at the links before a video is paid for"),
    "task": ("", "TASK", "go on with a task, by its id, its digits, or the path of its task.json"),
    "all": ("", "", "go on with all tasks that have not ended, or whose video is not here"),
    "interval": ("", "SECONDS", "between two polls (default: 5)"),
    "timeout": ("", "SECONDS", "until it gives up (default: 1800); 0 asks once"),
    "no_download": ("", "", "leave the video where it is, for 24 hours"),
    "output": ("", "FILE", "put the video there, too; of a detection: its answer goes there"),
}
WHAT = "send a prepared request once, wait for its answer or its video, and keep all of it"
EXAMPLE = "output/aliyun-emo/request.json --timeout 900"


def main(argv: Sequence[str] | None = None, came: Sequence[int] | None = None) -> int:
    """Run a command line; return the exit code. `came` are the signals so far, if it has any."""
    try:
        from aliyun_emo.interrupts import run_program
        from aliyun_emo.runs import CODES, run
    except ImportError:
        message = "prepare_emo_request.py and aliyun_emo, of this version, are not beside it"
        hint = "Copy the whole folder scripts, and start the program without -I."
        line = '{"ok": false, "errors": [{"field": "arguments", "message": "%s", "hint": "%s"}]}'
        print(line % (message, hint), flush=True)
        print(f"error: arguments: {message}. {hint}", file=sys.stderr, flush=True)
        return 2
    return run_program((run, WHAT, EXAMPLE, OPTIONS, CODES), argv, came)


def script() -> None:
    """Run this process's command line and end it; signals are kept before ours is imported."""
    came: list[int] = []
    for number in {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGINT)}:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda n, _: os._exit(128 + n) if came else came.append(n))
    os._exit(main(came=came))


if __name__ == "__main__":
    script()
