"""Reads a local repository with nothing but the format package: no index, no cache, every byte verified."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from argosy.restic_format.blob import PackedBlob, blob_id
from argosy.restic_format.compression import decompress
from argosy.restic_format.config import RepositoryConfig, open_config
from argosy.restic_format.crypto import MasterKey, Opener
from argosy.restic_format.key_file import decode_key_file
from argosy.restic_format.pack import LENGTH_BYTES, decode_header, pack_size_bytes, sealed_header_bytes
from argosy.restic_format.unpacked import decode_unpacked


@dataclass(frozen=True)
class PackFile:
    """A pack as stored, with what its header lists."""

    id: bytes
    stored: bytes
    header: bytes
    blobs: list[PackedBlob]


class Reader:
    """A repository in a local directory, opened with a password."""

    def __init__(self, root: Path, password: str) -> None:
        self.root = root
        (key_path,) = (root / "keys").iterdir()
        self.key_bytes = key_path.read_bytes()
        self.key: MasterKey = decode_key_file(self.key_bytes, "key").unlock(password.encode(), "key")
        self.opener = Opener(self.key)

    def config(self) -> RepositoryConfig:
        """The repository's config."""
        return open_config((self.root / "config").read_bytes(), self.opener)

    def documents(self, kind: str) -> dict[bytes, bytes]:
        """The JSON of all files of a kind (index, snapshots), by id."""
        found = {}
        for path in sorted((self.root / kind).iterdir()):
            stored = path.read_bytes()
            identity = hashlib.sha256(stored).digest()
            assert path.name == identity.hex()
            found[identity] = decode_unpacked(stored, self.opener, f"{kind} {path.name}")
        return found

    def packs(self) -> list[PackFile]:
        """All packs, each of exactly the size that its header asks for."""
        found = []
        for path in sorted((self.root / "data").glob("*/*")):
            stored = path.read_bytes()
            size = sealed_header_bytes(stored[-LENGTH_BYTES:], len(stored), path.name)
            header = self.opener.open(stored[-LENGTH_BYTES - size : -LENGTH_BYTES], path.name)
            blobs = decode_header(header, path.name)
            assert pack_size_bytes(blobs) == len(stored)
            found.append(PackFile(bytes.fromhex(path.name), stored, header, blobs))
        return found

    def blobs(self) -> dict[bytes, tuple[PackedBlob, bytes]]:
        """The content of every blob, by id."""
        found = {}
        for pack in self.packs():
            for blob in pack.blobs:
                what = f"blob {blob.id.hex()}"
                content = self.opener.open(pack.stored[blob.offset : blob.offset + blob.length], what)
                if blob.uncompressed_length:
                    content = decompress(content, blob.uncompressed_length, what)
                assert blob_id(content) == blob.id
                assert len(content) == blob.plaintext_bytes
                found[blob.id] = (blob, content)
        return found
