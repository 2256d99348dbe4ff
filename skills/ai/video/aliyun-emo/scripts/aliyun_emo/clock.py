"""The clock of all rooms: `clock.sleep`, `clock.monotonic`, `clock.time`, which tests replace here.

They are called by these names, never imported by themselves: a copy would not be replaced.
"""

from time import monotonic, sleep, time

__all__ = ["monotonic", "sleep", "time"]
