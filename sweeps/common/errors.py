"""Errors for people: each message is one line that says what was given, where, and what to do."""


class RequestError(Exception):
    """The request is wrong; the message is printed on stderr and the exit code is 2."""


class SweepFailed(Exception):  # noqa: N818 - what happened, as the exit code says it
    """The sweep could not produce a result; the message is printed on stderr and the exit code is 1."""
