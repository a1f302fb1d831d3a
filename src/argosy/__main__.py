"""The program: ``argosy``, and ``python -m argosy``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line of this process, and end it."""
    from argosy.cli.foresight import begin

    begin(sys.argv[1:])
    from argosy.cli.main import main as run_program  # click and all that: while a key is derived

    run_program()


if __name__ == "__main__":
    main()
