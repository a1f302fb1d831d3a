"""The name by which an engine makes a worker's half of a check. Apart, so that whoever only names it loads no more."""

from __future__ import annotations

HANDLER = "argosy.operations.check.worker:check_worker"
