"""Errors of the calib package."""


class CalibError(Exception):
    """Base of every error that `calib` raises on purpose.

    The message is one line for a person: the thing, the value, and what to do.
    """


class LensError(CalibError, ValueError):
    """A lens or a letterbox has impossible values."""


class RigError(CalibError, ValueError):
    """A rig, one of its cameras, or a rig file cannot be used."""


class BoardError(CalibError, ValueError):
    """A board is described wrongly, or its pictures do not make a calibration."""


class FormatError(CalibError, ValueError):
    """A calibration file of some format cannot be read, or cannot carry what it is given."""
