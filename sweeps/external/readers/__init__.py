"""Readers of training logs: TensorBoard, CSV, JSON lines, W&B offline files and console output, all as points.

A reader returns what was added since its last call, so a log can be followed while it grows. `read_log_folder` reads
whatever lies below a folder once.
"""

from sweeps.external.readers.discovery import LogSource, find_logs, read_log_folder
from sweeps.external.readers.point import LogReader, Point
from sweeps.external.readers.tables import CsvReader, JsonLinesReader
from sweeps.external.readers.tensorboard import TensorBoardReader
from sweeps.external.readers.text import PatternReader
from sweeps.external.readers.wandb_offline import WandbReader

__all__ = [
    "CsvReader",
    "JsonLinesReader",
    "LogReader",
    "LogSource",
    "PatternReader",
    "Point",
    "TensorBoardReader",
    "WandbReader",
    "find_logs",
    "read_log_folder",
]
