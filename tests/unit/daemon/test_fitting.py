"""What a member does with a backup's setup: it proves what it sees and uses its own lookup."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec
import pytest

from argosy.archiver.messages import PROTOCOL, WorkerOptions, WorkerSetup, decode, encode
from argosy.daemon.fitting import Fitter, lock_names_at
from argosy.daemon.sight import Sight, look_at
from argosy.daemon.target_sight import TargetMark
from argosy.errors import EngineError, RepositoryError, RepositoryMissing, SourceError
from argosy.operations.backup.handler import HANDLER as BACKUP
from argosy.operations.check import messages as check
from argosy.operations.check.handler import HANDLER as CHECK
from argosy.operations.prune import messages as prune
from argosy.operations.prune.copying import HANDLER as PRUNE
from argosy.operations.prune.repacking import RepackManner
from argosy.operations.restore.handler import HANDLER as RESTORE
from argosy.operations.verify import messages as verify
from argosy.operations.verify.run import HANDLER as VERIFY
from argosy.repository.locks import acquire
from argosy.restic_format.config import encode_config, make_config
from argosy.restorer import messages as restore
from argosy.restorer.selection import SelectionSpec
from argosy.storage.options import StorageOptions
from tests.support.backups import Scene

OPTIONS = WorkerOptions("auto", True, 16 << 20, 2, 1, False, True, False)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(tmp_path / "scene")
    scene.home.mkdir()
    return scene.init()


def setup_for(scene: Scene) -> WorkerSetup:
    """What a master sends to the members of a job."""
    repository = scene.open()
    key = repository.key
    return WorkerSetup(
        PROTOCOL,
        "job-1",
        str(scene.repository),
        StorageOptions(),
        key.encrypt + key.mac_k + key.mac_r,
        encode_config(repository.config),
        "/the/masters/own/lookup",
        OPTIONS,
    )


def sight_of(scene: Scene, *paths: Path) -> Sight:
    return Sight(look_at(map(os.fsencode, paths)), lock_names_at(str(scene.repository), StorageOptions()))


def test_the_workers_get_this_machines_elsewhere(scene: Scene, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(b"content")
    scene.backup(source)
    fitter = Fitter("nas-1", tmp_path / "cache", lambda: sight_of(scene, source))
    fitted = decode(fitter.fit(BACKUP, encode(setup_for(scene))), WorkerSetup)
    assert fitted.elsewhere
    lookup = Path(fitted.lookup_path)
    assert lookup.is_relative_to(tmp_path / "cache")
    assert lookup.exists()
    assert msgspec.structs.replace(fitted, lookup_path="", elsewhere=False) == msgspec.structs.replace(
        setup_for(scene), lookup_path=""
    )


def test_the_stores_credentials_may_be_this_machines_own(scene: Scene, tmp_path: Path) -> None:
    scene.backup(tmp_path)
    asked: list[str] = []

    def own(location: str) -> dict[str, str]:
        asked.append(location)
        return {"AWS_ACCESS_KEY_ID": "own"}

    fitter = Fitter("nas-1", tmp_path / "cache", lambda: sight_of(scene, tmp_path / "scene"), (), own)
    fitted = decode(fitter.fit(BACKUP, encode(setup_for(scene))), WorkerSetup)
    assert fitted.storage_options.credentials == {"AWS_ACCESS_KEY_ID": "own"}
    assert asked == [str(scene.repository)]


def test_a_copy_of_the_repository_is_refused(scene: Scene, tmp_path: Path) -> None:
    """It has the same key and id; it lacks the lock that the job holds now."""
    copy = tmp_path / "copy"
    shutil.copytree(scene.repository, copy)
    lock = acquire(scene.open())
    try:
        theirs = sight_of(scene)
        assert theirs.locks
        fitter = Fitter("nas-1", tmp_path / "cache", lambda: theirs)
        fitter.fit(BACKUP, encode(setup_for(scene)))
        elsewhere = msgspec.structs.replace(setup_for(scene), location=str(copy))
        with pytest.raises(SourceError, match="lacks the job's lock"):
            fitter.fit(BACKUP, encode(elsewhere))
    finally:
        lock.release()


def test_a_share_that_is_not_mounted_is_refused(scene: Scene, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").touch()
    theirs = sight_of(scene, source, source / "file")
    before = source.stat()
    (source / "file").unlink()
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(SourceError, match="file is not there"):
        Fitter("nas-1", tmp_path / "cache", lambda: theirs).fit(BACKUP, encode(setup_for(scene)))


def test_what_changes_between_two_looks_is_looked_at_again(scene: Scene, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    before = sight_of(scene, source)
    os.utime(source, (1, 1))
    sights = [before, sight_of(scene, source)]
    fitter = Fitter("nas-1", tmp_path / "cache", lambda: sights.pop(0))
    assert fitter.fit(BACKUP, encode(setup_for(scene)))
    assert sights == []


def test_another_handler_is_not_run(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="os:system"):
        Fitter("nas-1", tmp_path, lambda: Sight([], [])).fit("os:system", encode(setup_for(scene)))


def test_a_repository_that_is_not_there_is_named(scene: Scene, tmp_path: Path) -> None:
    """Its disk is not mounted on this machine."""
    elsewhere = msgspec.structs.replace(setup_for(scene), location=str(tmp_path / "nowhere"))
    with pytest.raises(RepositoryMissing, match="nowhere"):
        Fitter("nas-1", tmp_path / "cache", lambda: Sight([], [])).fit(BACKUP, encode(elsewhere))


def test_another_repository_with_the_same_key_is_named(scene: Scene, tmp_path: Path) -> None:
    config = make_config(os.urandom)
    other = msgspec.structs.replace(setup_for(scene), repository_config=encode_config(config))
    with pytest.raises(RepositoryError, match=f"not {config.id.hex()[:8]}"):
        Fitter("nas-1", tmp_path / "cache", lambda: Sight([], [])).fit(BACKUP, encode(other))


def restore_setup(scene: Scene, target: Path) -> bytes:
    wanted = setup_for(scene)
    settings = restore.RestoreSettings(delete=True, protected=[(1, 2)])
    return restore.encode(
        restore.WorkerSetup(
            restore.PROTOCOL,
            wanted.location,
            wanted.storage_options,
            wanted.master_key,
            wanted.repository_config,
            "/the/masters/own/lookup",
            os.fsencode(target),
            settings,
        )
    )


def test_a_restores_workers_get_the_target_as_it_is_seen_here(scene: Scene, tmp_path: Path) -> None:
    target, cache = tmp_path / "target", tmp_path / "cache"
    mark = TargetMark("/repository", os.fsencode(target))
    sight = Sight([], [], mark.probe())
    here = tmp_path / "here"
    here.symlink_to(target)
    maps = [(os.fsencode(target), os.fsencode(here))]
    cache.mkdir()
    fitted = restore.decode(
        Fitter("nas-1", cache, lambda: sight, maps).fit(RESTORE, restore_setup(scene, target)), restore.WorkerSetup
    )
    assert fitted.target == os.fsencode(here)
    assert Path(fitted.lookup_path).is_relative_to(cache)
    # What must not be deleted has other numbers on each machine.
    places = [path.stat() for path in (scene.repository, cache)]
    assert fitted.settings.protected == [(place.st_dev, place.st_ino) for place in places]
    nowhere = [(os.fsencode(target), os.fsencode(tmp_path / "nowhere"))]
    with pytest.raises(SourceError, match="cannot be opened"):
        Fitter("nas-1", cache, lambda: sight, nowhere).fit(RESTORE, restore_setup(scene, target))


@pytest.mark.parametrize("with_cache", [True, False])
def test_a_checks_workers_get_this_machines_cache_if_any(scene: Scene, tmp_path: Path, with_cache: bool) -> None:
    wanted = setup_for(scene)
    setup = check.WorkerSetup(
        check.PROTOCOL,
        wanted.location,
        wanted.storage_options,
        wanted.master_key,
        wanted.repository_config,
        "/the/masters/own/cache" if with_cache else "",
        1000,
    )
    fitter = Fitter("nas-1", tmp_path / "cache", lambda: Sight([], []))
    fitted = check.decode_setup(fitter.fit(CHECK, check.encode(setup)))
    assert fitted.cache_directory.startswith(str(tmp_path / "cache")) == with_cache
    assert bool(fitted.cache_directory) == with_cache
    with pytest.raises(SourceError, match="lacks the job's lock"):
        Fitter("nas-1", tmp_path, lambda: Sight([], ["ab" * 32])).fit(CHECK, check.encode(setup))


def test_a_prunes_workers_repack_only_where_the_jobs_lock_is(scene: Scene, tmp_path: Path) -> None:
    wanted = setup_for(scene)
    setup = prune.encode(
        prune.WorkerSetup(
            prune.PROTOCOL,
            wanted.location,
            wanted.storage_options,
            wanted.master_key,
            wanted.repository_config,
            RepackManner(1 << 20, "auto", compress_data=False, verify=True),
            60.0,
        )
    )
    assert Fitter("nas-1", tmp_path, lambda: Sight([], [])).fit(PRUNE, setup) == setup
    with pytest.raises(SourceError, match="lacks the job's lock"):
        Fitter("nas-1", tmp_path, lambda: Sight([], ["ab" * 32])).fit(PRUNE, setup)


def test_a_comparisons_workers_read_the_source_where_it_is_here(tmp_path: Path) -> None:
    """The repository, which they need not, may be out of their reach."""
    source, here = tmp_path / "source", tmp_path / "here"
    source.mkdir()
    (source / "file").write_bytes(b"content")
    source.rename(here)
    paths = [os.fsencode(f"{source}/.{name}") for name in ("", "/file")]
    theirs = Sight(look_at(paths, lambda path: path.replace(b"/source/", b"/here/")), [])
    setup = verify.encode(
        verify.WorkerSetup(verify.PROTOCOL, os.fsencode(source), b"/", SelectionSpec(), frozenset(), manifest=True)
    )
    maps = [(os.fsencode(source), os.fsencode(here))]
    fitted = verify.decode(Fitter("nas-1", tmp_path, lambda: theirs, maps).fit(VERIFY, setup), verify.WorkerSetup)
    assert (fitted.source, fitted.elsewhere) == (os.fsencode(here), True)
    with pytest.raises(SourceError, match=r"source/\. is not there"):
        Fitter("nas-1", tmp_path, lambda: theirs).fit(VERIFY, setup)
