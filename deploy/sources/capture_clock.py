"""Capture clock: a device's own time of its frames, on our clock."""

# How fast a device's clock may run away from ours; crystals are ten times better.
MAX_DRIFT = 500e-6


class CaptureClock:
    """Maps device time to ours by the frames that came with the least delay (Olson 2010, "A passive
    solution to the sensor synchronization problem", IROS).

    Transport only ever adds delay, so the smallest difference of receive and device time seen is
    nearest to the true offset; it may grow by MAX_DRIFT, or a slow clock would never be followed.
    The least delay itself can't be seen: stamps are late by it.
    """

    def __init__(self) -> None:
        self._offset_ns: int | None = None
        self._received_ns = 0

    def stamp(self, device_ns: int, received_ns: int) -> int:
        """Our time at which a frame was captured."""
        offset = received_ns - device_ns
        if self._offset_ns is not None:
            drift = round(MAX_DRIFT * (received_ns - self._received_ns))
            offset = min(offset, self._offset_ns + drift)
        self._offset_ns, self._received_ns = offset, received_ns
        return device_ns + offset
