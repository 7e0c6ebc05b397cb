"""Why a command comes to nothing."""

__all__ = ["AlreadySoError", "RefusedError"]


class RefusedError(Exception):
    """The command cannot be obeyed; the text says why."""


class AlreadySoError(Exception):
    """The command asks for what is already so; the text says what."""
