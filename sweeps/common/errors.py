"""Errors for people: each message is one line that says what was given, where, and what to do."""

LONGEST_REASON = 300


class RequestError(Exception):
    """The request is wrong; the message is printed on stderr and the exit code is 2."""


class SweepFailed(Exception):  # noqa: N818 - what happened, as the exit code says it
    """The sweep could not produce a result; the message is printed on stderr and the exit code is 1."""


def one_line(error: BaseException) -> str:
    """The message of an error in one line."""
    return " ".join(str(error).split())[:LONGEST_REASON]


def named_reason(error: BaseException) -> str:
    """The same with the kind of the error before it."""
    return f"{type(error).__name__}: {one_line(error)}".removesuffix(": ")


def reason_of(error: BaseException) -> str:
    """An error in one line: the message alone where it was written for people."""
    ours = type(error).__module__.partition(".")[0] in ("sweeps", "xtts", "xtts_sweep")
    return one_line(error) if ours and str(error) else named_reason(error)
