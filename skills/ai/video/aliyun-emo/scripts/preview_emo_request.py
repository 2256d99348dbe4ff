#!/usr/bin/env python3
"""Show a prepared EMO request before it is paid for: a page with the boxes over the portrait.

    $ python3 preview_emo_request.py output/aliyun-emo/request.json
    {"ok": true, "preview_path": "output/aliyun-emo/preview.html", "warnings": []}

FILE may be a request.json (that of output/aliyun-emo is the default), a detection.json, or the
task.json of a task. A request is held to all of prepare's rules, and nothing is written when it
is wrong. Of what was made already only the form counts:

    $ python3 preview_emo_request.py output/aliyun-emo/tasks/3f9a12c07b1e/task.json --open

The page is one file without a server: pictures and recordings stay where they are, and the browser
fetches them. Nothing here opens a socket.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # typing is slow to import, and only a type checker needs it
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType
    from typing import NoReturn

    from prepare_emo_request import Program, Report, Values

PREVIEW = (  # what it does, its options, an example: as in a `Program`
    "check a request, a detection or a task, and write a page that shows it",
    {
        "file": ("", "FILE", "request.json (the default), a detection.json, a task's task.json"),
        "output": ("", "FILE", "write this page, not preview.html beside FILE"),
        "open": ("", "", "open the page in the browser"),
    },
    "output/aliyun-emo/request.json --open",
)


def main(argv: Sequence[str] | None = None, came: list[int] | None = None) -> int:
    """Run the command line `argv`, by default this process's; return the exit code.

    `came` has the numbers of the signals that came so far, where this process handles them.
    """
    try:
        from aliyun_emo.page import preview
        from prepare_emo_request import EXIT_CODES, run_command_line
    except (ImportError, OSError):  # a module, or a part of the page
        return say_what_is_missing()

    def command(values: Values, report: Report) -> None:
        if came is not None:
            on_signals(interrupt)
        try:
            if came:
                interrupt(came[0])
            preview(values, report)
        finally:
            if came is not None:  # only the line is left to print, which a second one may end
                on_signals(lambda *_: on_signals(leave))

    what, options, example = PREVIEW
    program: Program = ({"": (command, what, example)}, options, {**EXIT_CODES, 0: "done"})
    return run_command_line(program, argv)


def say_what_is_missing() -> int:
    """Say that the parts of this program are not there; return the exit code."""
    import json

    neighbours = "prepare_emo_request.py and aliyun_emo, of the same version,"
    message = f"{neighbours} are not beside this program"
    hint = "Copy the whole folder scripts, and start the program without -I."
    error = {"field": "arguments", "message": message, "hint": hint}
    print(json.dumps({"ok": False, "errors": [error]}), flush=True)
    if sys.stderr:  # without one, print() would take stdout
        print(f"error: arguments: {message}. {hint}", file=sys.stderr)
    return 2


def on_signals(handler: Callable[[int, FrameType | None], None]) -> None:
    """Have `handler` get the signals that ask this process to end, but for those it ignores."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def interrupt(number: int, _: FrameType | None = None) -> NoReturn:
    raise KeyboardInterrupt(128 + number)


def leave(number: int, _: FrameType | None) -> NoReturn:
    os._exit(128 + number)


def script() -> NoReturn:
    """Run this process's command line and end the process."""
    came: list[int] = []
    on_signals(lambda number, _: came.append(number))  # before anything of ours is imported
    os._exit(main(None, came))


if __name__ == "__main__":
    script()
