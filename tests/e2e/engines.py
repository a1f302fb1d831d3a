"""Each end-to-end test runs on both engines, unless this says why not.

A test that uses the fixture ``machines`` (or a fixture that does) runs twice: on one machine, and on a cluster of a
master and a proxy on loopback that its folder shares. The second form is ``long``, but for the tests marked
``always_on_both``. It fails if it sent the cluster nothing. What is kept to one engine has its reason here: whole
modules in ``MODULES``, single tests as ``@pytest.mark.one_engine(Why.…)``. A test that does neither ends the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import pytest

FIXTURE = "machines"
ENGINES = ("one machine", "cluster")


class Why(StrEnum):
    """The reasons for one engine alone."""

    ANOTHER_VERB = "a verb that has no --cluster; backups, restores and checks only arrange for it"
    SHOWN_THERE = "a verb whose --cluster test_cluster_prune and test_cluster_verify show"
    CLUSTER = "about what a cluster alone does"
    FORMAT = "about bytes and words, and runs no job"
    THIS_PROCESS = "the fault or the look is planted in the process that runs the job, which would be the master"
    KILLED = "kills or stops the process that does the work; tests/cluster and test_cluster_… kill masters and proxies"
    THIS_STATE = "about the state directory of this machine; test_cluster_commands asks a master about its jobs"
    THIS_USER = "about the rights or the environment of the process that runs; a cluster's members have their own"
    STREAM = "reads what the command is given, which no other machine has: refused with --cluster"


MODULES: dict[str, Why] = {
    "test_api_document": Why.FORMAT,
    "test_backup_stream": Why.STREAM,
    "test_backup_xattrs": Why.THIS_PROCESS,
    "test_cache_directory": Why.THIS_USER,
    "test_cat": Why.ANOTHER_VERB,
    "test_cli_jobs": Why.THIS_STATE,
    "test_cluster": Why.CLUSTER,
    "test_cluster_backup": Why.CLUSTER,
    "test_cluster_commands": Why.CLUSTER,
    "test_cluster_prune": Why.CLUSTER,
    "test_cluster_restore": Why.CLUSTER,
    "test_cluster_restore_commands": Why.CLUSTER,
    "test_cluster_verify": Why.CLUSTER,
    "test_copy": Why.ANOTHER_VERB,
    "test_damaged_state": Why.THIS_STATE,
    "test_diff": Why.ANOTHER_VERB,
    "test_dump": Why.ANOTHER_VERB,
    "test_find": Why.ANOTHER_VERB,
    "test_flags_beside_restic": Why.ANOTHER_VERB,
    "test_forget": Why.ANOTHER_VERB,
    "test_huge_directory": Why.THIS_PROCESS,
    "test_key": Why.ANOTHER_VERB,
    "test_list": Why.ANOTHER_VERB,
    "test_ls": Why.ANOTHER_VERB,
    "test_mount": Why.ANOTHER_VERB,
    "test_mount_beside_restic": Why.ANOTHER_VERB,
    "test_mount_links": Why.ANOTHER_VERB,
    "test_native": Why.THIS_USER,
    "test_parity": Why.FORMAT,
    "test_prune": Why.SHOWN_THERE,
    "test_prune_beside_backup": Why.SHOWN_THERE,
    "test_recover": Why.ANOTHER_VERB,
    "test_repair": Why.ANOTHER_VERB,
    "test_repository_life_in_s3": Why.ANOTHER_VERB,
    "test_repository_with_restic": Why.FORMAT,
    "test_rewrite": Why.ANOTHER_VERB,
    "test_small_verbs": Why.ANOTHER_VERB,
    "test_snapshots": Why.ANOTHER_VERB,
    "test_stats": Why.ANOTHER_VERB,
    "test_tag": Why.ANOTHER_VERB,
    "test_tls_beside_restic": Why.ANOTHER_VERB,
    "test_unlock": Why.ANOTHER_VERB,
    "test_verify": Why.SHOWN_THERE,
}


def forms_of(definition: pytest.Item) -> list[object]:
    """On which engines a test runs, as parameters of ``FIXTURE``."""
    one, cluster = ENGINES
    if definition.get_closest_marker("one_engine"):
        return [one]
    marks = () if definition.get_closest_marker("always_on_both") else pytest.mark.long
    return [one, pytest.param(cluster, marks=marks)]


def without_an_answer(tests: Iterable[tuple[str, Iterable[str], Iterable[pytest.Mark]]]) -> list[str]:
    """Tests that run on one engine and do not say why, or say it wrongly; one line for each, with what to do.

    A test is its id, the names of its fixtures, and its marks of the name one_engine.
    """
    return [f"{test}: {wrong}" for test, fixtures, marks in tests if (wrong := _wrong_with(test, fixtures, marks))]


def _wrong_with(test: str, fixtures: Iterable[str], marks: Iterable[pytest.Mark]) -> str:
    module = test.partition("::")[0].rpartition("/")[2].removesuffix(".py")
    reasons = [mark.args for mark in marks]
    if any(len(given) != 1 or not isinstance(given[0], Why) for given in reasons):
        return "one_engine takes one of the reasons of tests/e2e/engines.py"
    if module in MODULES:
        return "its module is kept to one engine already" if reasons or FIXTURE in fixtures else ""
    if FIXTURE not in fixtures and not reasons:
        return f"use the fixture {FIXTURE!r}, or mark it one_engine with a reason of tests/e2e/engines.py"
    return ""
