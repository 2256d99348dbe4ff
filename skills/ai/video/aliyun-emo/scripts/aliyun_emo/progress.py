"""What a person sees meanwhile: at a terminal a line that changes, elsewhere one for each step."""

import contextlib
import sys

from aliyun_emo import clock

HEARTBEAT = 60  # seconds without a line after which one says that it still goes on


class Progress:
    """What goes on, and since when the run does."""

    def __init__(self) -> None:
        self.what, self.detail = "connecting", ""
        self.started = self.shown_at = clock.monotonic()
        self.is_shown = False

    def say(self, line: str) -> None:
        self.write("\n" * self.is_shown + f"{line}\n")
        self.is_shown = False

    def show(self, what: str, detail: str = "") -> None:
        """Show that `what` goes on, with a `detail` that changes all the time."""
        changed, self.what, self.detail = what != self.what, what, detail
        if sys.stderr and sys.stderr.isatty():
            self.is_shown = True
            self.write(f"\r{what}{detail}{self.elapsed()}".ljust(79))
        elif changed:
            self.write(f"{what}\n")
        else:
            self.beat()

    def wait(self, seconds: float) -> None:
        """Sleep so long, and show on the way that the run goes on."""
        while seconds > HEARTBEAT:
            clock.sleep(HEARTBEAT)
            seconds -= HEARTBEAT
            self.beat()
        clock.sleep(seconds)

    def beat(self) -> None:
        """Show a line if there was none for a while."""
        if clock.monotonic() - self.shown_at >= HEARTBEAT:
            self.say(f"{self.what}{self.detail}{self.elapsed()}")

    def elapsed(self) -> str:
        return f", {clock.monotonic() - self.started:.0f} s"

    def write(self, text: str) -> None:
        self.shown_at = clock.monotonic()
        with contextlib.suppress(OSError, AttributeError):  # nobody looks, or there is no stderr
            sys.stderr.write(text)
            sys.stderr.flush()

    def end(self) -> None:
        if self.is_shown:
            self.write("\n")
