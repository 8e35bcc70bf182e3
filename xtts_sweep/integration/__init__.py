"""What xtts knows of speech, as the plain data that sweeps takes: findings, story, samples and health of a run."""

from xtts_sweep.integration.findings import closing_findings, diagnosis, sweep_findings
from xtts_sweep.integration.report_page import report_extras, write_page
from xtts_sweep.integration.samples import sounds
from xtts_sweep.integration.wandb_logger import publish_run, wandb_logger

__all__ = [
    "closing_findings",
    "diagnosis",
    "publish_run",
    "report_extras",
    "sounds",
    "sweep_findings",
    "wandb_logger",
    "write_page",
]
