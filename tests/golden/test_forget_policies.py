"""Each policy of `forget` keeps what restic 0.18 keeps, for the same reasons."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner

from argosy.cli.main import program
from argosy.repository.keys import ScryptNumbers
from argosy.repository.repository import init_repository
from argosy.repository.snapshots import save_snapshot
from argosy.restic_format.blob import blob_id
from argosy.restic_format.snapshot import Snapshot
from argosy.storage.open import open_storage
from tests.support.command import Argosy
from tests.support.restic import PASSWORD, ResticRepository, require_restic

TREE = blob_id(b'{"nodes":[]}\n')
HOSTS = ("alpha", "beta")
# Some stand on the edge of a day, week, month or year; some share an hour; offsets differ from the clock of the test.
TIMES = (
    "2018-12-31T23:59:59Z",
    "2019-06-15T12:00:00Z",
    "2020-02-29T10:00:00Z",
    "2020-12-31T23:30:00Z",
    "2021-01-01T00:30:00Z",
    "2021-01-03T23:59:59.999999999Z",
    "2021-01-04T00:00:00Z",
    "2021-12-31T22:00:00-05:00",
    "2022-01-01T01:00:00+09:00",
    "2022-03-31T08:00:00Z",
    "2022-05-31T08:00:00+02:00",
    "2022-10-30T02:30:00+01:00",
    "2022-10-30T02:30:00+02:00",
    "2023-01-31T00:00:00Z",
    "2023-02-28T00:00:00Z",
    "2023-03-01T00:00:00Z",
    "2023-03-31T23:00:00Z",
    "2023-04-30T23:59:00Z",
    *(f"2023-05-{day:02d}T0{day % 3}:15:00Z" for day in range(20, 32)),
    *(f"2023-05-31T{hour:02d}:{minute:02d}:00Z" for hour in (4, 5, 9) for minute in (0, 20, 59)),
)
FUTURE = "2999-01-01T00:00:00Z"
TAGS: tuple[tuple[str, ...], ...] = ((), ("a",), ("a", "b"), ("b",), ("with space",))

POLICIES = [
    "-l 1",
    "-l 3",
    "--keep-last unlimited",
    "--keep-last 100",
    "-H 1",
    "-H 4",
    "--keep-hourly unlimited",
    "-d 1",
    "-d 5",
    "--keep-daily 30",
    "--keep-daily unlimited",
    "-w 1",
    "-w 3",
    "--keep-weekly 12",
    "--keep-weekly unlimited",
    "-m 1",
    "-m 4",
    "--keep-monthly 100",
    "--keep-monthly unlimited",
    "-y 1",
    "-y 3",
    "--keep-yearly 100",
    "--keep-yearly unlimited",
    "--keep-within 1h",
    "--keep-within 3h",
    "--keep-within 1d",
    "--keep-within 7d12h",
    "--keep-within 1m",
    "--keep-within 3m",
    "--keep-within 1y",
    "--keep-within 2y5m7d3h",
    "--keep-within 4000y",
    "--keep-within-hourly 1d",
    "--keep-within-daily 10d",
    "--keep-within-weekly 2m",
    "--keep-within-monthly 1y",
    "--keep-within-yearly 10y",
    "--keep-within-yearly 4000y",
    "--keep-within-daily 7d --keep-within-weekly 1m --keep-within-monthly 1y --keep-within-yearly 75y",
    "-l 1 --keep-tag a",
    "-l 1 --keep-tag a,b --keep-tag b",
    "-l 1 --keep-tag a --keep-tag a,b",
    "-l 1 --keep-tag with\u00a0space",
    "-l 1 --keep-tag=",
    "-l 2 -H 3 -d 7 -w 4 -m 12 -y 10",
    "-d 7 -w 4 -m 12 --keep-within 2d --keep-tag b",
    "-d 3 -y 2 --group-by host",
    "-d 3 -y 2 --group-by host,paths,tags",
    "-d 3 -y 2 --group-by paths",
    "-d 3 -y 2 --group-by=",
    "-m 3 --host alpha",
    "-m 3 --tag a,b --tag b",
    "-m 3 --path /data",
    "-l 0 -y 5",
]


@dataclass(frozen=True)
class Scene:
    """One repository and its two readers."""

    argosy: Argosy
    restic: ResticRepository


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Snapshots of years, of two hosts and two sets of paths, with tags."""
    home = tmp_path_factory.mktemp("forget")
    argosy = Argosy(home)
    storage = open_storage(str(argosy.repository))
    repository = init_repository(storage, PASSWORD.encode(), scrypt=ScryptNumbers(n=1024, r=8, p=1))
    for number, time in enumerate(TIMES):
        for host in HOSTS[: 1 + number % 2]:
            # restic's order of equal times changes from run to run.
            time = time if host == HOSTS[0] else f"{time[:17]}07{time[19:]}"
            paths = ["/data", "/more"] if number % 7 == 3 else ["/data"]
            tags = TAGS[number % len(TAGS)]
            save_snapshot(repository, Snapshot(time, TREE, paths, hostname=host, username="u", tags=tags))
    for time in (FUTURE, "2023-06-01T12:00:00Z"):
        save_snapshot(repository, Snapshot(time, TREE, ["/future"], hostname="gamma", username="u"))
    save_snapshot(repository, Snapshot("2998-01-01T00:00:00Z", TREE, ["/future"], hostname="delta", username="u"))
    storage.close()
    return Scene(argosy, require_restic((0, 18, 0)).at(argosy.repository, home))


def groups(output: bytes) -> list[Any]:
    """restic's documents, the groups in an order of their own: restic's changes from run to run."""
    found: list[Any] = json.loads(output)
    return sorted(found, key=lambda group: (group["host"], group["paths"] or [], group["tags"] or []))


@pytest.mark.parametrize("policy", POLICIES)
def test_keeps_and_reasons_are_restics(scene: Scene, policy: str) -> None:
    flags = ["forget", "--dry-run", "--json", *(word.replace("\u00a0", " ") for word in policy.split(" "))]
    # In this process: ours starts in no time then.
    ran = CliRunner(env=scene.argosy.variables()).invoke(program, flags)
    assert ran.exit_code == 0, ran.output
    theirs = groups(scene.restic.run(*flags).stdout)
    assert theirs
    assert groups(ran.stdout_bytes) == theirs


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("policy", ["-d 5 -w 5 -m 5", "--keep-within 7m1d", "--keep-within-hourly 8m --keep-within 1h"])
def test_the_zone_of_who_runs_it_changes_nothing_that_it_does_not_change_in_restic(
    scene: Scene, zone: str, policy: str
) -> None:
    flags = ["forget", "--dry-run", "--json", *policy.split()]
    argosy = Argosy(scene.argosy.home, environment={"TZ": zone})
    restic = scene.restic.restic.at(argosy.repository, argosy.home)
    theirs = ResticRepository(restic.restic, restic.location, restic.home, environment={"TZ": zone}).run(*flags)
    assert groups(argosy.run(*flags).stdout) == groups(theirs.stdout)


@pytest.mark.parametrize(
    "flags", ["-l 2 -d 3 --keep-tag a,b --keep-within 1m", "-y 2 --compact", "-m 2 --group-by= --host beta"]
)
def test_the_tables_are_restics(scene: Scene, flags: str) -> None:
    """But for the titles, which stand above each group here, and the last line."""
    words = ["forget", "--dry-run", *flags.split(" ")]
    ours, theirs = (run(*words).stdout.decode() for run in (scene.argosy.run, scene.restic.run))
    assert tables(ours) == tables(theirs)


def tables(text: str) -> list[str]:
    """The lines, sorted: restic's order of groups changes from run to run."""
    kept = re.split(r"^Would have removed|^would remove", text, flags=re.MULTILINE)[0]
    return sorted(line for line in kept.splitlines() if not line.startswith("snapshots for"))
