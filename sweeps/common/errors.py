"""Errors for people: each message is one line that says what was given, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

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


def meant(given: str, known: Iterable[str]) -> str:
    """The known word that is nearest to a misspelt one, or all of them."""
    words = list(known)
    close = get_close_matches(given, words, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(words)}"


def nearest(given: str, known: Iterable[str]) -> str:
    """The same at the end of a message; nothing where no known word is near."""
    close = get_close_matches(given, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
