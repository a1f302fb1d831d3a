"""What is guessed before the command line is parsed, and that a wrong guess decides nothing."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from argosy.cli import foresight
from argosy.cli.variables import Variables
from argosy.cli.verbs import OPENING, VERBS
from argosy.errors import WrongPassword
from argosy.repository.keys import ScryptNumbers, add_key, open_with_password
from argosy.restic_format.crypto import MasterKey
from argosy.restic_format.early_derivation import EarlyDerivation
from argosy.storage.local import LocalStorage

PASSWORD = b"a password"
NUMBERS = ScryptNumbers(n=16, r=1, p=2)
COMMANDS = Path(foresight.__file__).parent / "commands"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder with one key."""
    place = tmp_path / "repository"
    add_key(LocalStorage(str(place)), MasterKey.generate(os.urandom), PASSWORD, scrypt=NUMBERS)
    return place


def begun(*arguments: str, **environment: str) -> EarlyDerivation | None:
    foresight.begin(arguments, Variables(environment))
    return foresight.begun()


@pytest.fixture(autouse=True)
def no_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foresight, "_begun", None)


def opened_by(early: EarlyDerivation, repository: Path, monkeypatch: pytest.MonkeyPatch) -> MasterKey:
    """The key that the repository is opened with, where nothing but the guess derives one."""
    with monkeypatch.context() as patch:
        patch.delattr("argosy.restic_format.crypto.Scrypt")
        patch.setattr("argosy.restic_format.crypto.kernel", lambda: None)
        return open_with_password(LocalStorage(str(repository)), PASSWORD, early=early)[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "-r", "{repository}"),
        ("check", "--repo={repository}"),
        ("prune", "--dry-run", "--repo", "{repository}", "-p", "{password}"),
        ("snapshots",),
    ],
)
def test_a_plain_command_is_seen_through(
    arguments: tuple[str, ...], repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_bytes(PASSWORD + b"\n")
    words = [word.format(repository=repository, password=tmp_path / "password") for word in arguments]
    other = {"ARGOSY_PASSWORD": "another"} if "-p" in words else {"RESTIC_PASSWORD": PASSWORD.decode()}
    early = begun(*words, ARGOSY_REPOSITORY=str(repository), **other)
    assert early is not None
    key = opened_by(early, repository, monkeypatch)
    assert key == open_with_password(LocalStorage(str(repository)), PASSWORD)[1]


@pytest.mark.parametrize("arguments", [(), ("version",), ("--json", "check"), ("check", "--cluster", "host")])
def test_what_opens_no_repository_here_begins_nothing(arguments: tuple[str, ...], repository: Path) -> None:
    assert begun(*arguments, ARGOSY_REPOSITORY=str(repository), ARGOSY_PASSWORD=PASSWORD.decode()) is None


def test_a_guess_that_was_wrong_decides_nothing(repository: Path) -> None:
    storage = LocalStorage(str(repository))
    early = begun("check", "-r", str(repository), ARGOSY_PASSWORD="wrong")
    assert early is not None
    identity, key = open_with_password(storage, PASSWORD)
    assert open_with_password(storage, PASSWORD, early=early) == (identity, key)
    with pytest.raises(WrongPassword):
        open_with_password(storage, b"wrong", early=early)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"salt": "", "N": 1, "r": 1}', '{"salt": "=", "N": 1099511627776}']
)
def test_a_key_that_makes_no_sense_is_left_to_the_command(content: str, repository: Path) -> None:
    for key in (repository / "keys").iterdir():
        key.chmod(0o600)
        key.write_text(content)
    assert begun("check", "-r", str(repository), ARGOSY_PASSWORD="x") is None


def test_a_password_from_a_pipe_is_left_in_it(repository: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(PASSWORD,))
    writer.start()
    assert begun("check", "-r", str(repository), "-p", str(pipe)) is None
    assert pipe.read_bytes() == PASSWORD
    writer.join()


@pytest.mark.parametrize("natively", [True, False])
def test_numbers_that_scrypt_refuses_make_nothing(natively: bool) -> None:
    good, bad = (PASSWORD, bytes(64), 4, 1, 2, 64), (PASSWORD, bytes(64), 3, 1, 1, 64)
    assert EarlyDerivation(*bad, natively=natively).made_of(*bad) is None
    made = EarlyDerivation(*good, natively=natively).made_of(*good)
    assert made == hashlib.scrypt(PASSWORD, salt=bytes(64), n=4, r=1, p=2, dklen=64)
    assert EarlyDerivation(*good, natively=natively).made_of(*bad) is None


def test_the_verbs_are_those_that_open_a_repository() -> None:
    assert {verb for verb in VERBS if "unlocks=True" in (COMMANDS / f"{verb}.py").read_text()} == OPENING
