"""The command line: finds the command, runs it, prints an error in one line, returns the exit code.

A command is a file in xtts_sweep/cli with a one-line docstring (its help), add_arguments(parser) and run(options).
Heavy packages are imported inside run, so that --help answers at once.
"""

from __future__ import annotations

import argparse
import os
import pkgutil
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from sweeps.common.interrupts import repeated_where_lost
from sweeps.common.program import INSTALLED, SCRIPT, program
from sweeps.tuner.signals import CAUGHT, is_ignored_hangup
from xtts.cache_folder import use_writable_home
from xtts_sweep import cli
from xtts_sweep.arguments import Parser
from xtts_sweep.terminal import escape_what_cannot_be_shown

DEFAULT = "sweep"
INTERRUPTED = 130
EXIT_CODES = "NAME defaults to the newest run. Exit codes: 0 done, 1 no result, 2 wrong request, 130 interrupted."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    escape_what_cannot_be_shown()
    use_writable_home()
    try:
        name, options = parse(given)
        options.given = given
        return int(command(name).run(options))
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing had been started that needs a resume", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        code = _exit_code(error)
        if code is None:
            raise
        print(f"{_prog()}: {' '.join(str(error).split())}", file=sys.stderr)
        return code


def console() -> int:
    """The same as the program itself: SIGTERM and SIGHUP end it like Ctrl-C, before and after a sweep too.

    SIGINT as well, which a shell's background jobs start without.
    """
    for number in CAUGHT:
        if not is_ignored_hangup(number):
            signal.signal(number, signal.default_int_handler)
    with repeated_where_lost():
        code = main()
    for number in CAUGHT:
        signal.signal(number, signal.SIG_IGN)  # all is written and said: the exit code stands
    if code == INTERRUPTED:  # threads of libraries are not waited for
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def parse(given: Sequence[str]) -> tuple[str, argparse.Namespace]:
    """The command's name and its options; without a name it is a new sweep."""
    if given and given[0] in commands() and given[0] != DEFAULT:
        return given[0], parser_of(given[0]).parse_args(given[1:])
    rest = given[1:] if given and given[0] == DEFAULT else given
    return DEFAULT, parser_of(DEFAULT).parse_args(rest)


def commands() -> list[str]:
    """The names of all commands: the files in xtts_sweep/cli."""
    return sorted(module.name for module in pkgutil.iter_modules(cli.__path__))


def command(name: str) -> ModuleType:
    """The module of a command."""
    return import_module(f"{cli.__name__}.{name}")


def parser_of(name: str) -> argparse.ArgumentParser:
    """The parser of a command with its own arguments."""
    module = command(name)
    if name == DEFAULT:
        parser = Parser(
            prog=_prog(),
            description="Search loss weights and the gradient clip of a speech trainer inside safe ranges.",
            epilog=_epilog(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    else:
        parser = Parser(prog=f"{_prog()} {name}", description=module.__doc__)
    module.add_arguments(parser)
    return parser


def _epilog() -> str:
    lines = [f"commands ({program()} COMMAND --help):"]
    lines += [f"  {name:<10} {str(command(name).__doc__).splitlines()[0]}" for name in commands() if name != DEFAULT]
    return "\n".join([*lines, "", EXIT_CODES])


def _prog() -> str:
    return INSTALLED if Path(sys.argv[0]).stem == INSTALLED else SCRIPT


def _exit_code(error: Exception) -> int | None:
    """2 for a wrong request, 1 for a sweep without a result, None for a bug."""
    from sweeps.common.errors import RequestError, SweepFailed
    from xtts.errors import SpeechError

    if isinstance(error, (RequestError, SpeechError)):
        return 2
    return 1 if isinstance(error, SweepFailed) else None
