"""report.html: one self-contained page with the best config, the trials, and how to repeat the run."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from sweeps.atomic_file import write_atomically
from sweeps.progress import Progress
from sweeps.records import best_record

STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222}
table{border-collapse:collapse}td,th{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child,td:last-child{text-align:left}.best{font-weight:600;background:#eef6ee}
pre{background:#f5f5f5;padding:.7rem}"""


def write_report(path: Path, name: str, progress: Progress, lines: Sequence[str]) -> None:
    """Replace report.html; `lines` are what the sweep said at its end."""
    head, *rows = progress.rows()
    best = best_record(progress.records)
    best_id = None if best is None else best.trial_id
    shown = "".join(
        f'<tr class="{"best" if row[0] == best_id else ""}">'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    config = "none: no trial of the search has a finite objective"
    if best is not None:
        config = "\n".join(f"{key}: {value}" for key, value in best.params.items())
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(name)}</title><style>{STYLE}</style></head><body>
<h1>{escape(name)}</h1>
<p>{escape(progress.heading)}</p>
{"".join(f"<p>{escape(line)}</p>" for line in lines)}
<h2>Best config (unconfirmed)</h2><pre>{escape(config)}</pre>
<h2>Trials</h2><table><thead><tr>{"".join(f"<th>{escape(cell)}</th>" for cell in head)}</tr></thead>
<tbody>{shown}</tbody></table>
<h2>Repeat</h2><p>sweep.yaml beside this page holds the space, the limits, the data's fingerprint, seeds
and versions.</p>
</body></html>
"""
    write_atomically(path, page)
