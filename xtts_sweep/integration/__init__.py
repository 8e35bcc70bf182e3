"""What xtts knows of speech, as the plain data that sweeps takes: findings, story, samples and health of a run."""

from wiring.findings import closing_findings, diagnosis, sweep_findings
from wiring.page import report_extras, write_page
from wiring.record import publish_run, recording
from wiring.samples import sounds

__all__ = [
    "closing_findings",
    "diagnosis",
    "publish_run",
    "recording",
    "report_extras",
    "sounds",
    "sweep_findings",
    "write_page",
]
