"""The clock of all rooms: tests replace its functions here, so nobody imports those alone."""

from time import monotonic, sleep, time
from typing import NamedTuple

__all__ = ["FOREVER", "Times", "monotonic", "sleep", "time"]
FOREVER = float("inf")


class Times(NamedTuple):
    """Seconds to `connect`, for the `answer` or a piece of a body; none goes on after `until`."""

    connect: float
    answer: float
    until: float = FOREVER  # a moment of the monotonic clock

    def end_of(self, seconds: float) -> float:
        """Return the moment at which what may take so many `seconds` ends."""
        return min(monotonic() + seconds, self.until)
