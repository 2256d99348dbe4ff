#!/usr/bin/env python3
"""Make a talking-head video of a picture and a recording, shown before it is paid for.

Each of the two is a file, or a public link. At a terminal it asks before it pays; elsewhere nothing
is paid without --pay: it names the command that pays for what was shown. Run the same command until
it ends with 0: it goes on where it was, and pays once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

OPTIONS = {  # field: commands, metavar ("" for a flag, in brackets for a place), help
    "image": ("", "<IMAGE>", "the portrait: jpg, jpeg, png, bmp or webp; a file, or a public link"),
    "audio": ("", "<AUDIO>", "the speech: wav or mp3, < 15 MB, < 60 s; a file, or a public link"),
    "ratio": ("", "RATIO", "1:1 for a head shot (the default), 3:4 for half body"),
    "style_level": ("", "LEVEL", "normal (the default), calm or active"),
    "pay": ("", "", "pay without asking"),
    "attempt": ("", "N", "the N-th video of the same request, once the one before has ended"),
    "output": ("", "FILE", "put the video there, too"),
    "dry_run": ("", "", "only check, offline: send nothing, pay nothing"),
    "no_wait": ("", "", "end when the task is made; run again without it for its video"),
    "no_look": ("", "", "do not look at the links before a video is paid for"),
    "timeout": ("", "SECONDS", "until it gives up (default: 1800); 0 asks once"),
    "interval": ("", "SECONDS", "between two polls (default: 5)"),
    "model": ("", "NAME", "the model of a dedicated deployment"),
}
WHAT = "make the video of a picture and a recording, shown before it is paid for"
EXAMPLE = "portrait.png speech.mp3 --style-level active -o hello.mp4"


def main(argv: Sequence[str] | None = None, came: Sequence[int] | None = None) -> int:
    """Run a command line; return the exit code. `came` are the signals so far, if it has any."""
    try:
        from aliyun_emo.interrupts import run_program
        from aliyun_emo.making import KEYS, make
        from aliyun_emo.runs import CODES
    except (ImportError, OSError):  # a module, or a part of the page
        message = "prepare_emo_request.py and aliyun_emo, of this version, are not beside it"
        hint = "Copy the whole folder scripts, and start the program without -I."
        line = '{"ok": false, "errors": [{"field": "arguments", "message": "%s", "hint": "%s"}]}'
        print(line % (message, hint), flush=True)
        print(f"error: arguments: {message}. {hint}", file=sys.stderr, flush=True)
        return 2
    return run_program((make, WHAT, EXAMPLE, OPTIONS, CODES), argv, came, KEYS)


def script() -> None:
    """Run this process's command line and end it; signals are kept before ours is imported."""
    came: list[int] = []
    for number in {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGINT)}:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda n, _: os._exit(128 + n) if came else came.append(n))
    os._exit(main(came=came))


if __name__ == "__main__":
    script()
