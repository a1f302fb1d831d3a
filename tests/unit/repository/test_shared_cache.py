"""One cache, several processes at once, and someone who removes it meanwhile."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from argosy.repository.cache import SealedCache

_LIMIT_BYTES = 400_000
_COPY_BYTES = 4000
_COPIES = 300
_PROCESSES = 3

# Each copy says what it must hold, so that a torn or mixed one shows.
_USER = f"""
import hashlib, sys
from pathlib import Path
from argosy.repository.cache import SealedCache

cache = SealedCache(Path(sys.argv[1]), {_LIMIT_BYTES})
print("ready", flush=True)
sys.stdin.readline()
for number in range({_COPIES}):
    name = f"data/{{number % 7}}/{{number}}"
    content = hashlib.shake_128(name.encode()).digest({_COPY_BYTES})
    found = cache.get(name)
    assert found in (None, content), name
    cache.put(name, content)
    assert cache.get_range(name, 1000, 10) in (None, content[1000:1010]), name
assert not cache.trouble, cache.trouble
"""


def test_processes_share_a_cache_within_its_limit_also_if_it_is_removed(tmp_path: Path) -> None:
    users = [_start(tmp_path) for _ in range(_PROCESSES)]
    for user in users:
        assert user.stdin is not None
        assert user.stdout is not None
        assert user.stdout.readline() == "ready\n"
        user.stdin.write("go\n")
        user.stdin.flush()
    while any(user.poll() is None for user in users):
        shutil.rmtree(tmp_path / "objects", ignore_errors=True)
    for user in users:
        said, _ = user.communicate(timeout=60)
        assert user.returncode == 0, said


def test_no_process_lets_the_cache_grow_beyond_its_share(tmp_path: Path) -> None:
    """Each alone would stay below the limit and never look."""
    caches = [SealedCache(tmp_path, _LIMIT_BYTES) for _ in range(4)]
    for number in range(90):
        for at, cache in enumerate(caches):
            cache.put(f"data/{at}/{number}", hashlib.shake_128(b"%d" % number).digest(_COPY_BYTES))
    held_bytes = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert held_bytes <= _LIMIT_BYTES * (1 + len(caches) / 16) + _COPY_BYTES * len(caches)
    assert not any(cache.trouble for cache in caches)


def _start(directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _USER, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
