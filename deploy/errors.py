"""Errors of the deploy package."""


class DeployError(Exception):
    """Base of every error that `deploy` raises on purpose.

    The message is one line for a person: the thing, the value, and what to do.
    """


class LogError(DeployError):
    """A log is missing, damaged, or lacks what the loop needs."""


class EngineError(DeployError):
    """A model artefact can't be loaded or does not match its spec."""


class SourceError(DeployError):
    """A camera or recording can't be opened, or delivers no longer."""
