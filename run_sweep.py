"""The command line: finds the command, runs it, prints what went wrong in one line, exits. No logic of its own.

Heavy packages are imported where a command needs them, so that --help answers at once.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from commands.arguments import COMMANDS, command_parser, sweep_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in COMMANDS.split():
        command, parser = given[0], command_parser(given[0])
        options = parser.parse_args(given[1:])
    else:
        command, options = "sweep", sweep_parser().parse_args(given)
        options.given = given
    try:
        return int(import_module(f"commands.{command}").run(options))
    except KeyboardInterrupt:
        print("interrupted; nothing had been started that needs a resume", file=sys.stderr)
        return 130
    except Exception as error:
        code = _exit_code(error)
        if code is None:
            raise
        print(f"run_sweep.py: {' '.join(str(error).split())}", file=sys.stderr)
        return code


def _exit_code(error: Exception) -> int | None:
    """2 for a wrong request, 1 for a sweep without a result, None for a bug."""
    from sweeps.errors import RequestError, SweepFailed
    from xtts.errors import SpeechError

    if isinstance(error, (RequestError, SpeechError)):
        return 2
    return 1 if isinstance(error, SweepFailed) else None


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C before and after a session, too
    raise SystemExit(main())
