"""Errors of the perception package."""


class PerceptionError(Exception):
    """Base of every error that `perception` raises on purpose.

    The message is one line for a person: the thing, the value, and what to do.
    """


class SpecError(PerceptionError):
    """A ModelSpec is malformed or does not match the artefact it came with."""


class DatasetError(PerceptionError):
    """A dataset folder is missing, empty or inconsistent."""


class CheckpointError(PerceptionError):
    """A checkpoint is missing, damaged, or belongs to another model or recipe."""
