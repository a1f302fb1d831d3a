"""Which unfinished job a start goes on with (R5): decided here, without touching anything."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from argosy.errors import StateBusy
from argosy.operations.backup.options import JobSpec
from argosy.operations.jobs import FoundJob


class ResumeDecision(msgspec.Struct, frozen=True):
    """``resume`` is the job to go on with. ``close`` are unfinished jobs of this source that it replaces, each with
    the reason, which is told to the user."""

    resume: FoundJob | None
    close: list[tuple[FoundJob, str]]


def decide_resume(
    jobs: Iterable[FoundJob],
    repository_id: str,
    spec: JobSpec,
    *,
    now: float,
    within_seconds: float,
    allowed: bool,
) -> ResumeDecision:
    """Decide by repository, spec and age. StateBusy when the very same job is being run by another process."""
    resume: FoundJob | None = None
    close: list[tuple[FoundJob, str]] = []
    for job in jobs:
        if job.record.kind != "backup" or job.record.repository_id != repository_id:
            continue
        theirs = msgspec.msgpack.decode(job.record.spec, type=JobSpec)
        if theirs.targets != spec.targets or theirs.host != spec.host:
            continue
        if job.running_pid:
            if theirs == spec:
                raise StateBusy(
                    f"job {job.record.id} is already backing up this source (process {job.running_pid})",
                    hint="Watch it with 'argosy status', or wait for it.",
                )
            continue
        difference = _difference(theirs, spec)
        if resume is not None:
            close.append((job, "a newer unfinished job of this source exists"))
        elif not allowed:
            close.append((job, "--no-resume was given"))
        elif difference:
            close.append((job, f"it was started with other options: {difference}"))
        elif now - job.active > within_seconds:
            close.append((job, f"it is older than --resume-within ({_hours(now - job.active)})"))
        else:
            resume = job
    return ResumeDecision(resume, close)


def _difference(theirs: JobSpec, ours: JobSpec) -> str:
    """The names of the fields that differ, as a user knows them."""
    names = [name for name in JobSpec.__struct_fields__ if getattr(theirs, name) != getattr(ours, name)]
    return ", ".join("excludes" if name == "content_key" else name.replace("_", "-") for name in names)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h"
