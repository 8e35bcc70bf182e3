"""report.html as tests read it: its elements and texts, and a run whose texts from outside try to be markup."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from sweeps.confirm.verdict import Verdict, judge
from sweeps.report import FindingNote, ReportExtras, write_report
from sweeps.run.folder import RunFolder, read_sweep_yaml, write_sweep_yaml
from sweeps.run.run import read_run
from sweeps.trials.event import Event
from tests.sweeps.report.report_runs import RATIOS, extras, judged, write_run

DEFAULT = {2001: 0.535, 2002: 0.539, 2003: 0.531}
BETTER = {2001: 0.512, 2002: 0.515, 2003: 0.509}
ISOLATES = dict.fromkeys(map(ord, "\u2066\u2067\u2068\u2069"))
BLOCKS = {"p", "label", "th", "td", "dt", "dd", "li", "h2", "h3", "summary", "text"}
VOID = {"meta", "input", "img", "br", "link", "hr"}


class Page(HTMLParser):
    """The page's elements, its text by the ids of the elements around it, and whether its tags match."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.by_id: dict[str, str] = {}
        self.unmatched: list[str] = []
        self._open: list[tuple[str, str | None]] = []
        self.feed(text)
        self.unmatched += [name for name, _ in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append((tag, dict(attrs).get("id")))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1][0] != tag:
            self.unmatched.append(f"/{tag}")
            return
        if tag in BLOCKS:
            self.handle_data(" ")
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for _, name in self._open:
            if name is not None:
                self.by_id[name] = self.by_id.get(name, "") + data

    def text(self, name: str) -> str:
        """The text inside the element of that id, its white space and direction marks left out."""
        return " ".join(self.by_id.get(name, "").translate(ISOLATES).split())

    def count(self, name: str) -> int:
        """How many elements of that name there are."""
        return sum(found == name for found, _ in self.elements)


def read(
    folder: RunFolder, given: ReportExtras | None = None, lang: str = "en", verdict: Verdict | None = None
) -> Page:
    run = read_run(folder.path) if verdict is None else judged(folder, verdict)
    write_report(run, given or ReportExtras(), lang)
    page = Page(folder.report.read_text(encoding="utf-8"))
    assert page.unmatched == []
    return page


def confirmed(finalist: dict[int, float]) -> Verdict:
    return judge(finalist, DEFAULT)


def hostile(output: Path) -> tuple[RunFolder, ReportExtras]:
    """A run in which everything from outside wants to be markup."""
    evil = "</script></style><script>window.pwned=1</script><img src=x onerror='window.pwned=1'>\"'&\x00\u202e\ud800"
    folder = write_run(output, trials=6)
    content = read_sweep_yaml(folder)
    name = "mel_loss_weight"
    content |= {
        "data": evil,
        "git_commit": evil,
        "versions": {evil: evil},
        "data_summary": {evil: [evil]},
        "command": evil,
    }
    write_sweep_yaml(folder, json.loads(json.dumps(content)))
    lines = [json.loads(line) for line in folder.trials_jsonl.read_text().splitlines()]
    lines[-1] |= {"reason": "failed", "detail": evil}
    for event in lines:
        if event["event"] == "trial_started":
            event["label"] = evil
            event["params"] |= {evil: evil, "gradient_clip_norm": evil}
        if event["event"] == "trial_ended":
            event["stop_reason"] = evil
    started = {"event": "trial_started", "trial_id": evil, "time": 1.0, "role": evil, "seed": 1, "params": {name: 2.0}}
    reports: list[Event] = [
        {
            "event": "report",
            "trial_id": evil,
            "time": 1.0,
            "epoch": epoch,
            "objective": 0.5,
            "loss": 1.0,
            "updates": evil,
        }
        for epoch in (1, 2, 3)
    ]
    ended = {"event": "trial_ended", "trial_id": evil, "time": 2.0, "status": evil, "stop_reason": evil}
    written = [*lines[:-1], started, *reports, ended, lines[-1]]
    folder.trials_jsonl.write_text("".join(json.dumps(event) + "\n" for event in written), encoding="utf-8")
    given = extras()
    return folder, replace(
        given,
        objective=evil,
        findings=(FindingNote("problem", evil, f"`{evil}`", (evil,)),),
        health={evil: evil},
        health_notes=(replace(given.health_notes[0], what=evil, files=(evil,) * 9),),
        samples=(replace(given.samples[0], text=evil),),
        loss_bands=(replace(given.loss_bands[0], name=evil),),
        tables=(replace(given.tables[0], title=evil, head=(evil, evil), rows=((evil, evil),), note=evil),),
        coordinates=(*RATIOS, replace(RATIOS[0], name=evil)),
    )
