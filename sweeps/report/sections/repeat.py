"""How to repeat the run: the command, the versions, the data's fingerprint, and sweep.yaml whole."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

import yaml

from sweeps.common.program import program
from sweeps.report.data import RunData
from sweeps.report.extras import ReportExtras
from sweeps.report.html import Html, own, tag
from sweeps.report.words import Words


def repeat(data: RunData, words: Words, extras: ReportExtras) -> Html:
    """Everything that somebody else needs."""
    content = data.content
    commit = content.get("git_commit")
    rows = {
        words("data"): data.request.data,
        words("seed"): str(data.request.seed),
        words("plan"): str(data.plan),
        words("commit"): "" if commit is None else str(commit),
        words("created"): str(content.get("created", "")),
        **{name: _plain(value) for name, value in data.request.data_summary.items()},
    }
    versions = content.get("versions")
    known = versions if isinstance(versions, Mapping) else {}
    return tag(
        "section",
        tag("h2", words("repeat"), id="repeat-title"),
        tag("p", words("repeat_note")),
        tag("pre", tag("code", command(data, extras)), dir="ltr", tabindex="0"),
        tag(
            "dl",
            (tag("div", tag("dt", own(name)), tag("dd", own(value))) for name, value in rows.items() if value),
            tag(
                "div",
                tag("dt", words("versions")),
                tag("dd", own(", ".join(f"{name} {version}" for name, version in known.items()))),
            ),
            class_="figures",
        ),
        tag(
            "details",
            tag("summary", words("sweep_yaml")),
            tag(
                "pre",
                tag("code", yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True)),
                dir="ltr",
                tabindex="0",
            ),
        ),
        id="repeat",
        aria_labelledby="repeat-title",
    )


def command(data: RunData, extras: ReportExtras) -> str:
    """The command as it was given where that is known, else one that asks for the same."""
    given = extras.command or data.content.get("command")
    if isinstance(given, str) and given:
        return given
    request = data.request
    parts = ["--space", request.space.name]
    if not request.space.controls:
        parts += ["--trials", str(request.budget.trials)]
    parts += ["--epochs", str(request.budget.epochs), "--seed", str(request.seed), "--trainer", request.trainer]
    parts += ["--data", request.data] if request.data else []
    parts += ["--concurrent", str(data.plan.concurrent)]
    parts += ["--allow-unsafe"] if request.allow_unsafe else []
    return f"{program()} {shlex.join(parts)}"


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(entry)}" for name, entry in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
