"""Errors of the calib package."""


class CalibError(Exception):
    """Base of every error that `calib` raises on purpose.

    The message is one line for a person: the thing, the value, and what to do.
    """
