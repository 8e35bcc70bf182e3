"""The name of `xtts.data.layouts` in version 0.1.0, kept for programs that import it."""

from xtts.data.layouts import Layout, Row, read_layout

__all__ = ["Layout", "Row", "read_layout"]
