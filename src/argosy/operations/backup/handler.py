"""What the workers of a backup run."""

from __future__ import annotations

HANDLER = "argosy.archiver.pipeline:backup_worker"
"""As ``Engine.start`` takes it."""
