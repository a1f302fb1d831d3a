"""An object store from the command line: its keys come from the environment, as restic's do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import servers
from tests.support.command import Argosy
from tests.support.machines import Machines
from tests.support.restic import require_restic

pytestmark = pytest.mark.server


def test_keys_of_the_environment_reach_the_store_and_no_file(machines: Machines, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(b"content")
    home = tmp_path / "home"
    home.mkdir()
    with servers.rclone(tmp_path / "s3") as server:
        location = server.location("backups")
        environment = {**server.credentials, "ARGOSY_REPOSITORY": location}
        argosy = Argosy(home, environment=environment, machines=machines)
        document = argosy.documents("backup", "--init", source)[-1]
        restic = require_restic().at(location, home)
        restic = type(restic)(restic.restic, location, home, environment=server.credentials)
        (listed,) = restic.json_lines("snapshots")
        assert listed[0]["id"] == document["snapshot_id"]
        nobody = Argosy(home, environment={"ARGOSY_REPOSITORY": location}, machines=machines)
        assert "AWS_ACCESS_KEY_ID" in nobody.says("backup", source, expect=1)
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert server.secret_key.encode() not in kept
    assert argosy.password.encode() not in kept
