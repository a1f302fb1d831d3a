"""How fast this machine could be: the same bytes through the same libraries, and nothing else.

Each processor reads files, hashes, compresses, encrypts and signs them in a process of its own. There is no scan, no
cutting, no lookup, no pack, no tree, no repository, and Python does only what calls the libraries need. With
verification each blob is also decrypted, inflated and hashed again. The clock runs from when all processes are ready to
when the last is done. ``python -m benchmarks.ceiling DIRECTORY`` prints the seconds as JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TypeAlias

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Buffer: TypeAlias = bytes | memoryview

# Argosy's own choices: a unit test holds the two together.
SMALL_BLOB_BYTES = 512 * 1024
# Literal compression (1002) is always on.
SMALL = {
    zstd.CompressionParameter.compression_level: 1,
    zstd.CompressionParameter.min_match: 7,
    zstd.CompressionParameter.target_length: 2,
    1002: 1,
}
LARGE_LEVELS = {"auto": 3, "fastest": 1}

# Argosy cuts larger files into blobs of about this size.
BLOB_BYTES = 1 << 20
SEGMENT_BYTES = 64 << 20
# Larger ciphertexts go into one buffer that is used again: fresh memory costs page faults.
_FRESH_BYTES = 64 * 1024
_NONCES_PER_DRAW = 256


@dataclass(frozen=True, slots=True)
class Unit:
    """Work for one process at a time: whole files of a directory, or a piece of one large file."""

    directory: str
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    offset: int = 0


class Encoder:
    """Hash, zstd, AES-256-CTR and Poly1305-AES with contexts that are used again for every blob."""

    def __init__(self, compression: str = "auto", *, verify: bool) -> None:
        self._verify = verify
        self._small = zstd.ZstdCompressor(options=SMALL)
        self._large = zstd.ZstdCompressor(level=LARGE_LEVELS[compression])
        self._cipher = Cipher(algorithms.AES(os.urandom(32)), modes.CTR(bytes(16))).encryptor()
        self._pad = Cipher(algorithms.AES(os.urandom(16)), modes.ECB()).encryptor()
        self._mac_r = os.urandom(16)
        self._ready: list[tuple[bytes, bytes]] = []
        self._buffer = memoryview(bytearray(2 * BLOB_BYTES))

    def encode(self, content: Buffer) -> tuple[bytes, Buffer, bytes]:
        """What a pack would hold of a blob: its id, ciphertext (until the next call) and MAC."""
        identity = hashlib.sha256(content).digest()
        frame = self.compress(content)
        is_compressed = len(frame) < len(content)
        nonce, mac_key = self._next_nonce()
        sealed = self._encrypt(nonce, frame if is_compressed else content)
        mac = Poly1305.generate_tag(mac_key, sealed)
        if self._verify:
            Poly1305.verify_tag(mac_key, sealed, mac)
            self._cipher.reset_nonce(nonce)
            plaintext = self._cipher.update(sealed)
            if hashlib.sha256(zstd.decompress(plaintext) if is_compressed else plaintext).digest() != identity:
                raise RuntimeError("a blob does not come back as it was")
        return identity, sealed, mac

    def compress(self, content: Buffer) -> bytes:
        """One frame, of the level that Argosy takes for a blob of this size."""
        context = self._small if len(content) <= SMALL_BLOB_BYTES else self._large
        context.set_pledged_input_size(len(content))
        return context.compress(content, zstd.ZstdCompressor.FLUSH_FRAME)

    def _encrypt(self, nonce: bytes, plaintext: Buffer) -> Buffer:
        self._cipher.reset_nonce(nonce)
        if len(plaintext) <= _FRESH_BYTES:
            return self._cipher.update(plaintext)
        if len(plaintext) > len(self._buffer):
            self._buffer = memoryview(bytearray(len(plaintext)))
        sealed = self._buffer[: len(plaintext)]
        self._cipher.update_into(plaintext, sealed)
        return sealed

    def _next_nonce(self) -> tuple[bytes, bytes]:
        if not self._ready:
            nonces = os.urandom(16 * _NONCES_PER_DRAW)
            pads = self._pad.update(nonces)
            self._ready = [(nonces[at : at + 16], self._mac_r + pads[at : at + 16]) for at in range(0, len(nonces), 16)]
        return self._ready.pop()


class _Process:
    """What one of the processes keeps."""

    encoder: Encoder
    buffer: memoryview


def plan_units(root: Path) -> Iterator[Unit]:
    """All files below ``root``: those of up to one segment by directories, larger ones by segments."""
    for directory, _, names in os.walk(root):
        sizes = {name: os.lstat(os.path.join(directory, name)).st_size for name in names}
        whole = {name: size for name, size in sizes.items() if size <= SEGMENT_BYTES}
        if whole:
            yield Unit(directory, tuple(whole), tuple(whole.values()))
        for name, size in sizes.items():
            if name not in whole:
                for offset in range(0, size, SEGMENT_BYTES):
                    yield Unit(directory, (name,), (min(SEGMENT_BYTES, size - offset),), offset)


def work(unit: Unit) -> int:
    """Read and encode one unit; the bytes of it."""
    directory = os.open(unit.directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return sum(
            _work_on_file(directory, name, size, unit.offset) for name, size in zip(unit.names, unit.sizes, strict=True)
        )
    finally:
        os.close(directory)


def _work_on_file(directory: int, name: str, size: int, offset: int) -> int:
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NOATIME | os.O_CLOEXEC, dir_fd=directory)
    try:
        if size <= SMALL_BLOB_BYTES:
            content = os.read(file, size + 1)
            _Process.encoder.encode(content)
            return len(content)
        end, position = offset + size, offset
        while position < end:
            count = os.preadv(file, [_Process.buffer[: min(BLOB_BYTES, end - position)]], position)
            if not count:
                break
            _Process.encoder.encode(_Process.buffer[:count])
            position += count
        return position - offset
    finally:
        os.close(file)


def _start(barrier: Barrier, compression: str, verify: bool) -> None:
    _Process.encoder = Encoder(compression, verify=verify)
    _Process.buffer = memoryview(bytearray(BLOB_BYTES))
    barrier.wait()


def measure_ceiling(root: Path, processes: int, compression: str = "auto", *, verify: bool) -> tuple[float, int]:
    """Seconds and bytes. OSError if a file is gone."""
    # The largest first, so that no processor ends with a long one while the others wait.
    units = sorted(plan_units(root), key=lambda unit: -sum(unit.sizes))
    barrier = multiprocessing.Barrier(processes + 1)
    with multiprocessing.Pool(processes, _start, (barrier, compression, verify)) as pool:
        barrier.wait()
        started = time.perf_counter()
        total_bytes = sum(pool.imap_unordered(work, units))
        return time.perf_counter() - started, total_bytes


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ceiling", description=measure_ceiling.__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--compression", choices=sorted(LARGE_LEVELS), default="auto")
    parser.add_argument("--verify", action="store_true", help="decrypt, inflate and hash each blob once more")
    given = parser.parse_args()
    seconds, total_bytes = measure_ceiling(given.directory, given.processes, given.compression, verify=given.verify)
    sys.stdout.write(json.dumps({"seconds": seconds, "bytes": total_bytes, "processes": given.processes}) + "\n")


if __name__ == "__main__":
    main()
