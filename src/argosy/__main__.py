"""``python -m argosy``."""

from __future__ import annotations

from argosy.cli.main import main

if __name__ == "__main__":
    main()
