"""The server's users follow the register."""

from __future__ import annotations

import threading
from pathlib import Path

from argosy.certificates.addresses import Address
from argosy.certificates.cluster_directory import ClusterDirectory
from argosy.certificates.role import Role
from argosy.daemon.guarding import RegisterWatch, Users, users_of

PATIENCE_SECONDS = 30.0


def cluster(home: Path) -> ClusterDirectory:
    directory = ClusterDirectory(home / "cluster")
    directory.init([Address("localhost", 4222)])
    return directory


def test_the_configuration_has_each_valid_client_and_mutual_tls(tmp_path: Path) -> None:
    directory = cluster(tmp_path)
    directory.add("nas-1", Role.MEMBER, tmp_path / "nas-1.join", [], 30)
    users = users_of(directory)
    text = users.configuration
    assert users.names == {"master", "operator", "member", "nas-1"}
    assert "verify_and_map: true" in text
    assert "handshake_first: true" in text
    assert "argosy.member.nas-1.>" in text
    directory.revoke("nas-1")
    assert "nas-1" not in users_of(directory).names
    assert "nas-1" not in users_of(directory).configuration


def test_a_change_of_the_register_reaches_the_server(tmp_path: Path) -> None:
    directory = cluster(tmp_path)
    directory.add("nas-1", Role.MEMBER, tmp_path / "nas-1.join", [], 30)
    heard: list[Users] = []
    warned: list[str] = []
    changed = threading.Event()

    def take(users: Users) -> None:
        heard.append(users)
        changed.set()

    watch = RegisterWatch(directory, take, warned.append)
    watch.start()
    directory.revoke("nas-1")
    assert changed.wait(PATIENCE_SECONDS)
    watch.stop()
    assert "nas-1" not in heard[0].names
    assert warned == []


def test_a_register_that_is_gone_is_a_warning_and_cuts_nobody_off(tmp_path: Path) -> None:
    directory = cluster(tmp_path)
    reloads: list[Users] = []
    warned = threading.Event()
    watch = RegisterWatch(directory, reloads.append, lambda _text: warned.set())
    watch.start()
    (directory.path / "register.json").unlink()
    assert warned.wait(PATIENCE_SECONDS)
    watch.stop()
    assert reloads == []
