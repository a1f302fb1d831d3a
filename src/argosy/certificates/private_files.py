"""Files that hold keys: written whole or not at all, for their owner alone, and refused where others can read them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from argosy.errors import CertificateError

# Keys, certificates and registers are small: what is larger is none.
_MOST_BYTES = 16 << 20


def exists(path: Path) -> bool:
    """Whether there is a file; CertificateError where that cannot be seen."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(path, error) from error
    return True


def read_private(path: Path) -> bytes:
    """The bytes of a file that only its reader can read. CertificateError says what is wrong with it."""
    return _read(path, private=True)


def read_public(path: Path) -> bytes:
    """The bytes of a file without a secret, a certificate alone. CertificateError if it cannot be read."""
    return _read(path, private=False)


def check_mode(path: Path, status: os.stat_result) -> None:
    """Refuse a file that others can read or change.

    A group may read it if its owner is another than the reader: so do systemd (LoadCredential= with an ACL, whose mask
    shows as the group's bits) and Kubernetes (fsGroup) hand a secret of root's to a service.
    """
    forbidden = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP
    if status.st_uid == os.geteuid():
        forbidden |= stat.S_IRGRP
    if status.st_mode & forbidden:
        raise CertificateError(
            f"{path} holds a key and has mode {stat.S_IMODE(status.st_mode):04o}, so others can get at it",
            hint=f"`chmod 600 {path}`; if somebody may have read it, revoke it and make another.",
        )


def write_private(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write a file with mode 0600, durably: a temporary one beside it, fsync, rename, fsync of the directory.

    Without ``replace`` an existing file stays, and CertificateError says so.
    """
    temporary = path.parent / f".argosy-{secrets.token_hex(8)}"
    try:
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:
                os.fchmod(fd, 0o600)  # whatever the umask was
                file.write(data)
                file.flush()
                os.fsync(fd)
            if replace:
                os.rename(temporary, path)
            else:
                os.link(temporary, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        _sync_directory(path.parent)
    except FileExistsError:
        raise CertificateError(
            f"{path} already exists and is not replaced", hint="Name another file with --output, or move it away."
        ) from None
    except OSError as error:
        raise CertificateError(
            f"cannot write {path}: {error.strerror}", hint="Check the directory's mode and its free space."
        ) from error


def make_private_directory(path: Path) -> None:
    """Make a directory with mode 0700, and its parents. One that others can write to is refused."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
    except OSError as error:
        raise CertificateError(
            f"cannot make the directory {path}: {error.strerror}", hint="Name another one with --certs."
        ) from error
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CertificateError(
            f"others can write to {path} (mode {stat.S_IMODE(status.st_mode):04o})", hint=f"`chmod 700 {path}`."
        )


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep other processes that change the directory out; ends with the process, however it ends."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(directory, error) from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
        except OSError as error:
            raise CertificateError(
                f"cannot lock {directory}: {error.strerror}", hint="Keep the cluster directory on a local disk."
            ) from error
        yield
    finally:
        os.close(fd)


def _read(path: Path, *, private: bool) -> bytes:
    try:
        # O_NONBLOCK: a named pipe in a file's place must not stop the program.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise CertificateError(f"{path} is no file", hint="Name the file itself.")
            if private:
                check_mode(path, status)
            return file.read(_MOST_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from error


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems have no such thing
            raise
    finally:
        os.close(fd)


def _unreadable(path: Path, error: OSError) -> CertificateError:
    return CertificateError(f"cannot read {path}: {error.strerror}", hint="Check the path and who may read it.")
