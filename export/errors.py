"""Errors of the export package."""


class ExportError(Exception):
    """Base of every error that `export` raises on purpose.

    The message is one line for a person: the thing, the value, and what to do.
    """
