"""What the workers of a restore run. Apart, so that whoever only names it loads no more."""

from __future__ import annotations

HANDLER = "argosy.restorer.worker:restore_worker"
"""As ``Engine.start`` takes it."""
