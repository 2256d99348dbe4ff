"""The parts of the EMO programs; nobody starts them (what is where: references/rooms.md)."""
