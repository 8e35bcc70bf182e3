"""The curves of one run's logs, read once, or read on from look to look while the training runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sweeps.external.readers.stream import LogStream
from xtts.diagnostics.logged_curve import Curve, CurveBuilder
from xtts_sweep.diagnosis.run_logs import PREFERENCE, RunLogs


@dataclass
class RunCurves:
    """What was read of one kind of log, and how far."""

    streams: list[tuple[str, LogStream]] = field(default_factory=list)
    """In the order of `builders`' points, each with the prefix of its tags"""
    builders: dict[str, CurveBuilder] = field(default_factory=dict)

    def read(self, logs: RunLogs, *, final: bool) -> tuple[dict[str, Curve], bool]:
        """The curves of the first kind of log that holds any, and whether it ends within a record."""
        for kind in PREFERENCE:
            streams = logs.streams.get(kind, [])
            if streams and self._read(streams, final):
                curves = {tag: builder.curve() for tag, builder in self.builders.items()}
                return curves, self.streams[-1][1].truncated
        return {}, False

    def _read(self, streams: Sequence[tuple[str, LogStream]], final: bool) -> bool:
        if self._continues(streams):
            self.streams += streams[len(self.streams) :]
        else:
            self.streams, self.builders = list(streams), {}
        for prefix, stream in self.streams:
            seen = set() if stream.offset == 0 else set(self.builders)
            for piece in stream.pieces(final=final):
                for tag, (steps, values) in piece.items():
                    builder = self.builders.setdefault(prefix + tag, CurveBuilder())
                    builder.add(steps, values, new_file=tag not in seen)
                    seen.add(tag)
        return bool(self.builders)

    def _continues(self, streams: Sequence[tuple[str, LogStream]]) -> bool:
        """Whether the files are those of the last look and perhaps newer ones, and only the newest of a prefix grew."""
        known = [stream.path for _, stream in self.streams]
        if not known or [stream.path for _, stream in streams[: len(known)]] != known:
            return False
        newest = {prefix: stream.path for prefix, stream in streams}
        return all(
            stream.continues() and (newest[prefix] == stream.path or stream.path.stat().st_size == stream.offset)
            for prefix, stream in self.streams
        )
