"""Which verdicts let a config be exported, and the words that an export carries for the others."""

from __future__ import annotations

from xtts.export.tuned import Provenance

VERDICTS = ("better", "no difference", "worse", "undecided", "unconfirmed")

_AGAINST = {
    "no difference": "found no difference between this config and the default",
    "worse": "found this config worse than the default",
    "undecided": "could not distinguish this config from the default",
}


def refusal(verdict_word: str, unproven: bool, *, is_default: bool = False) -> str | None:
    """Why a config must not be exported, in one line, or None.

    The default config itself is never refused: it is what these verdicts recommend. An unconfirmed config is not
    refused either; the export is marked.
    """
    if verdict_word not in VERDICTS:
        return f"the verdict {verdict_word!r} is none of {', '.join(VERDICTS)}; run `confirm` again"
    if unproven or is_default or verdict_word not in _AGAINST:
        return None
    return (
        f"the verdict {_AGAINST[verdict_word]}; keep the default, confirm over more seeds, "
        "or write it all the same with --unproven"
    )


def verdict_line(provenance: Provenance) -> str:
    """The verdict in words: what it rests on, and `unconfirmed` or `unproven` where it proves nothing."""
    word = provenance.verdict
    line = word
    if provenance.seeds:
        line += f", over seeds {', '.join(map(str, provenance.seeds))}"
    if provenance.interval is not None:
        low, high = provenance.interval
        line += f"; best objective minus the default's between {low:+.4f} and {high:+.4f}"
    if provenance.is_default:
        return f"{line}: this is the default config, which nothing was shown to beat"
    if word == "unconfirmed":
        return f"{line}: a search's best, not yet compared with the default over fresh seeds (confirm)"
    if word in _AGAINST:
        return f"{line}: unproven, confirmation {_AGAINST[word]}"
    return line
