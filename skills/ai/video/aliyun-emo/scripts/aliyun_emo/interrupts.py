"""The signals that end a run, at once or a little later (words: prepare, 12, and settings)."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Union

import prepare_emo_request as emo
from aliyun_emo import clock

ENDING = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGINT)}
GRACE = 30  # seconds that an answer worth money has; READ_TIMEOUT of settings ends it as well
APART = 1  # seconds between two of one mind: programs and terminals send several at once


class Interrupts:
    """The signals of a run: `came` is the number of the one that counts, 0 for none."""

    def __init__(self) -> None:
        self.came, self.came_at, self.grace = 0, 0.0, 0.0
        self.is_held = self.is_over = self.came_late = False

    @contextlib.contextmanager
    def end(self, earlier: Sequence[int] | None) -> Iterator[None]:
        """Within, signals end what goes on, `earlier` ones too; with None they are not handled."""
        try:
            if earlier is not None:
                for number in ENDING:
                    if signal.getsignal(number) is not signal.SIG_IGN:
                        signal.signal(number, self.handle)
                self.came = self.came or next(iter(earlier), 0)
                self.check()
            yield
            self.check()
        finally:
            self.is_over = True

    def handle(self, number: int, _: FrameType | None) -> None:
        """Handle the signal `number`; while held, a second one shortens the wait for an answer."""
        if self.is_over:
            if self.came_late:
                os._exit(128 + number)  # nobody reads what is being printed
            self.came_late = True
            return
        if self.came and clock.monotonic() >= self.came_at + APART:
            self.came, self.grace = number, 0.0  # somebody does not want to wait
        elif not self.came:
            self.came, self.came_at = number, clock.monotonic()
        if not self.is_held:
            raise KeyboardInterrupt(128 + number)

    def check(self) -> None:
        """Raise the `KeyboardInterrupt` of a signal that came, which Python may have swallowed."""
        if self.came and not self.is_held:
            raise KeyboardInterrupt(128 + self.came)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Within, a first signal is held, so that an answer on its way is not lost."""
        self.check()
        self.is_held, self.grace = True, GRACE
        try:
            yield
        finally:
            self.is_held = False
        self.check()

    def lets_end(self, wait: Callable[[float], None], seconds: float) -> bool:
        """Do `wait`, which a signal ends even where it is held; return False where one did so."""
        is_held, self.is_held = self.is_held, False
        try:
            self.check()
            wait(seconds)
            return True
        except KeyboardInterrupt:
            if not is_held:
                raise
            return False
        finally:
            self.is_held = is_held

    def patience(self) -> float:
        """Return the moment, by the monotonic clock, until which answers are waited for."""
        return self.came_at + self.grace if self.came else clock.FOREVER


Texts = Union[Sequence[str], None]
Command = tuple[Callable[..., None], str, str, dict[str, tuple[str, str, str]], dict[int, str]]


def run_program(command: Command, argv: Texts, came: Sequence[int] | None, keys: Texts = ()) -> int:
    """Run one `command`: a function, what it does, an example, its options and exit codes."""
    interrupts, (function, what, example, options, codes) = Interrupts(), command

    def run(values: emo.Values, report: emo.Report) -> None:
        report.facts.update(dict.fromkeys(keys or ()))
        with interrupts.end(came):
            function(values, report, interrupts)

    program: emo.Program = ({"": (run, what, example)}, options, {**emo.EXIT_CODES, **codes})
    return emo.run_command_line(program, argv)
