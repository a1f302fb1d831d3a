"""A cluster's members as what a test's jobs run on: a master and a proxy on loopback, each with one worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from argosy.certificates.cluster_directory import ClusterDirectory
from argosy.certificates.contexts import client_context
from argosy.certificates.role import Role
from argosy.daemon.client import Client, connected
from argosy.daemon.protocol import CheckOrder, Order, RestoreOrder, backup_order
from argosy.daemon.proxy import Proxy, ProxySettings
from argosy.operations.backup.options import BackupObserver, BackupOptions, BackupResult
from argosy.operations.check.options import CheckObserver, CheckOptions, CheckResult
from argosy.operations.restore.options import RestoreObserver, RestoreOptions, RestoreResult
from argosy.operations.session import Access
from tests.support.backups import Scene
from tests.support.cluster_commands import PATIENCE_SECONDS, cluster_of_commands
from tests.support.masters import running_master


class ManyMachines:
    """Jobs are submitted to a master and followed to their ends. The state directory is the master's."""

    is_cluster = True

    def __init__(self, client: Client, flags: Sequence[str | Path] = ()) -> None:
        self.used = 0
        self._client = client
        self._flags = flags

    def backup(self, access: Access, options: BackupOptions, _state: Path, observer: BackupObserver) -> BackupResult:
        result: BackupResult = self._done(access, backup_order(options), observer)
        return result

    def restore(self, access: Access, options: RestoreOptions, observer: RestoreObserver) -> RestoreResult:
        result: RestoreResult = self._done(access, RestoreOrder(options), observer)
        return result

    def check(self, access: Access, options: CheckOptions, observer: CheckObserver) -> CheckResult:
        result: CheckResult = self._done(access, CheckOrder(options), observer)
        return result

    def flags(self) -> Sequence[str | Path]:
        self.used += 1
        return self._flags

    def _done(self, access: Access, order: Order, observer: Any) -> Any:
        self.used += 1
        return self._client.follow(self._client.submit(access, order).run, observer)


@contextmanager
def clustered_commands(home: Path) -> Iterator[ManyMachines]:
    """`argosy master` and `argosy proxy` with certificates, for commands and for jobs from this process."""
    with cluster_of_commands(home) as cluster:
        cluster.start_master("--workers", "1")
        cluster.start_proxy("nas-1")
        certificates = cluster.argosy.state / "cluster"
        tls = client_context(ClusterDirectory(certificates).own(Role.OPERATOR))
        with connected(cluster.url, Role.OPERATOR.value, tls, PATIENCE_SECONDS) as client:
            yield ManyMachines(client, ("--cluster", cluster.url, "--certs", certificates))


@contextmanager
def clustered_here(scene: Scene) -> Iterator[ManyMachines]:
    """A master and a proxy in this process, whose workers have the faults of this process."""
    with running_master(scene, workers=1) as bed, bed.client() as client:
        settings = ProxySettings(bed.url, "nas-1", 1, scene.home / "proxy-cache")
        with Proxy(settings, lambda _text: None):
            for name in ("master", "nas-1"):
                bed.until_said(f"{name} joined")
            yield ManyMachines(client)
