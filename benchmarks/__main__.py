"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.disturbance import Disturbance
from benchmarks.process import CommandFailed
from benchmarks.programs import OUR_COMMAND, Program
from benchmarks.report import Surroundings, make_document, markdown_table, summary, text_table
from benchmarks.rows import Row
from benchmarks.scenarios import SCENARIOS, Benchmark, Choice
from benchmarks.workplace import NoRoom, file_system, workplace

VERIFY = {"both": (False, True), "off": (False,), "on": (True,)}
KEYS = {"same": "the same key for both", "own": "each with its own default key"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table; 0, or 1 with a message if a program failed or there is no room.

    The table has what was measured up to a failure or an interruption.
    """
    given = _parse(arguments)
    rows: list[Row] = []
    surroundings: Surroundings | None = None
    code = 0
    try:
        argosy, restic = Program("argosy", tuple(shlex.split(given.argosy))), Program("restic", (given.restic,))
        with workplace(given.directory, given.scale) as directory:
            surroundings = _surroundings(given, argosy, restic, directory)
            Benchmark(argosy, restic, directory, _choice(given), _say, rows).run()
    except (CommandFailed, NoRoom, OSError) as error:
        _say(f"benchmarks: {error}")
        code = 1
    except KeyboardInterrupt:
        _say("benchmarks: interrupted")
        code = 130
    if surroundings is not None and rows:
        _show(given, surroundings, rows)
    return code


def _surroundings(given: argparse.Namespace, argosy: Program, restic: Program, directory: Path) -> Surroundings:
    return Surroundings(
        argosy=argosy.version(),
        restic=restic.version(),
        file_system=file_system(directory),
        runs=given.runs,
        scale=given.scale,
        keys=KEYS[given.keys],
        disturbance=Disturbance(),
    )


def _choice(given: argparse.Namespace) -> Choice:
    return Choice(
        scenarios=frozenset(given.scenario.split(",")),
        verify=VERIFY[given.verify],
        runs=given.runs,
        scale=given.scale,
        ceiling=given.ceiling,
        own_keys=given.keys == "own",
    )


def _show(given: argparse.Namespace, surroundings: Surroundings, rows: list[Row]) -> None:
    order = list(SCENARIOS)
    rows = sorted(rows, key=lambda row: order.index(row.key.partition(" ")[0]))
    markdown = f"{summary(surroundings)}\n\n{markdown_table(rows)}"
    document = json.dumps(make_document(surroundings, rows), indent=1) + "\n"
    for path, text in ((given.markdown, markdown), (given.json, document)):
        if path is not None and path != "-":
            Path(path).write_text(text, encoding="utf-8")
    if given.json == "-":
        sys.stdout.write(document)
    elif given.markdown == "-":
        sys.stdout.write(markdown)
    else:
        sys.stdout.write(f"{summary(surroundings)}\n\n{text_table(rows)}")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure Argosy against restic 0.18 on the same data, by turns.",
        epilog="scenarios:\n" + "\n".join(f"  {name:6} {text}" for name, text in SCENARIOS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--scenario", default=",".join(SCENARIOS), type=_scenarios, metavar="LIST", help="which, with commas; else all"
    )
    parser.add_argument("--runs", default=3, type=_positive(int), metavar="N", help="pairs of runs for each row (3)")
    parser.add_argument(
        "--verify",
        default="both",
        choices=VERIFY,
        help="backups of both programs without extra verification, with it, or each way in turn",
    )
    parser.add_argument(
        "--scale", default=1.0, type=_positive(float), metavar="X", help="data this many times as large: 0.05 to try"
    )
    parser.add_argument(
        "--directory", type=Path, metavar="DIR", help="where to work (/dev/shm if it has room, else temporary files)"
    )
    parser.add_argument(
        "--keys", default="same", choices=KEYS, help="repositories with one key (same), or each program's default (own)"
    )
    parser.add_argument("--no-ceiling", dest="ceiling", action="store_false", help="do not run the ceiling program")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="everything as JSON, printed or to a file")
    parser.add_argument("--markdown", nargs="?", const="-", metavar="FILE", help="the table as Markdown, likewise")
    parser.add_argument("--argosy", default=shlex.join(OUR_COMMAND), metavar="COMMAND", help="another Argosy")
    parser.add_argument(
        "--restic",
        default=os.environ.get("ARGOSY_TEST_RESTIC_018"),
        metavar="PROGRAM",
        help="restic 0.18 [ARGOSY_TEST_RESTIC_018]",
    )
    given = parser.parse_args(arguments)
    if not given.restic:
        parser.error("no restic 0.18: start by scripts/bench, or name it with --restic or in ARGOSY_TEST_RESTIC_018")
    return given


def _scenarios(text: str) -> str:
    unknown = [name for name in text.split(",") if name not in SCENARIOS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(SCENARIOS)}")
    return text


def _positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    """Reads a number above zero."""

    def read(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = 0
        if not 0 < number < float("inf"):
            raise argparse.ArgumentTypeError(f"{text}: not a number above zero")
        return number

    return read


if __name__ == "__main__":
    # A terminated run unwinds like an interrupted one, so that its folder is removed and its programs are ended.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    sys.exit(main())
