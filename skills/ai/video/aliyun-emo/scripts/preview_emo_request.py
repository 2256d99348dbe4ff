#!/usr/bin/env python3
"""Show a prepared EMO request before it is paid for: a page with the boxes over the portrait.

A request is held to all of prepare's rules, and kept as it is shown: the page's command runs that
file. The browser fetches the media from where they are. Nothing here opens a socket.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

OPTIONS = {  # field: commands, metavar ("" for a flag), help
    "file": ("", "[FILE]", "request.json (the default), a detection.json, a task's task.json"),
    "output": ("", "FILE", "write this page, not previews/NAME.html"),
    "open": ("", "", "open the page in the browser"),
}
WHAT = "check a request, a detection or a task, and write a page that shows it"
EXAMPLE = "output/aliyun-emo/request.json --open"


def main(argv: Sequence[str] | None = None, came: Sequence[int] | None = None) -> int:
    """Run a command line; return the exit code. `came` are the signals so far, if it has any."""
    try:
        from aliyun_emo.interrupts import run_program
        from aliyun_emo.previews import preview
    except (ImportError, OSError):  # a module, or a part of the page
        message = "prepare_emo_request.py and aliyun_emo, of this version, are not beside it"
        hint = "Copy the whole folder scripts, and start the program without -I."
        line = '{"ok": false, "errors": [{"field": "arguments", "message": "%s", "hint": "%s"}]}'
        print(line % (message, hint), flush=True)
        print(f"error: arguments: {message}. {hint}", file=sys.stderr, flush=True)
        return 2
    return run_program((preview, WHAT, EXAMPLE, OPTIONS, {0: "done"}), argv, came)


def script() -> None:
    """Run this process's command line and end it; signals are kept before ours is imported."""
    came: list[int] = []
    for number in {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGINT)}:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda n, _: os._exit(128 + n) if came else came.append(n))
    os._exit(main(came=came))


if __name__ == "__main__":
    script()
