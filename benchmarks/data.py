"""The files that are backed up: the same bytes for the same numbers, on any machine of this byte order.

Text is words drawn from a fixed vocabulary: it has the redundancy of a language's words, none of its grammar.
"""

from __future__ import annotations

import math
import os
import random
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SMALL_FILES = 60_000
MEDIAN_BYTES = 5_000
# exp(σ²/2) is the mean of a log-normal distribution by its median: 2.4 makes it 12 kB.
SIGMA = 1.32
MOST_BYTES = 2_000_000
FILES_IN_DIRECTORY = 100
DIRECTORIES_IN_DIRECTORY = 20

LARGE_BYTES = 2_000_000_000
LARGE_FILES = 10
PIECE_BYTES = 1 << 20

EMPTY_FILES = 1_000_000
EMPTY_FILES_IN_DIRECTORY = 1_000

TINY_FILES = (100_000, 1_000_000)
TINY_BYTES = 60
TINY_FILES_IN_DIRECTORY = 1_000

MANY_FILES = 1_000_000
MANY_LEAST_BYTES, MANY_MOST_BYTES = 100, 1_000
MANY_FILES_IN_DIRECTORY = 1_000

_LETTERS = b"abcdefghijklmnopqrstuvwxyz     \n"
_WORD_BYTES = 7
_DRAWS = 1 << 16
# So few that a repository of the text takes little room beside it.
_PLENTY_WORDS = 64


@dataclass(frozen=True, slots=True)
class Extent:
    """How much a tree holds."""

    files: int
    size_bytes: int


class Text:
    """Draws text from a vocabulary of ``words`` words (at most 65,536), all equally likely."""

    def __init__(self, words: int) -> None:
        source = random.Random(f"vocabulary of {words}")
        vocabulary = [bytes(source.choices(_LETTERS, k=_WORD_BYTES)) for _ in range(words)]
        # Two random bytes name a word: ten times as fast as random.choices.
        self._word = [vocabulary[draw * words // _DRAWS] for draw in range(_DRAWS)].__getitem__

    def draw(self, source: random.Random, size_bytes: int) -> bytes:
        """The next text of that size."""
        draws = memoryview(source.randbytes(2 * (size_bytes // _WORD_BYTES + 1))).cast("H")
        return b"".join(map(self._word, draws))[:size_bytes]


class SmallFiles:
    """``count`` files of log-normal sizes, every other one text, the rest half random and half text."""

    def __init__(self, root: Path, count: int) -> None:
        self.root = root
        self.count = count
        self._text = Text(4_000)

    def make(self) -> Extent:
        """Write them all."""
        size_bytes = 0
        for number in range(self.count):
            if number % FILES_IN_DIRECTORY == 0:
                self.path(number).parent.mkdir(parents=True, exist_ok=True)
            size_bytes += self._write(number, version=0)
        return Extent(self.count, size_bytes)

    def change(self, version: int, share: float = 0.01) -> Extent:
        """Write ``share`` of the files anew, chosen by ``version`` (1, 2 …); what was written."""
        chosen = _choose(self.count, version, share)
        return Extent(len(chosen), sum(self._write(number, version) for number in chosen))

    def path(self, number: int) -> Path:
        """Where a file lies."""
        directory = number // FILES_IN_DIRECTORY
        outer, inner = divmod(directory, DIRECTORIES_IN_DIRECTORY)
        return self.root / f"d{outer:03d}" / f"s{inner:02d}" / f"f{number:06d}.dat"

    def _write(self, number: int, version: int) -> int:
        source = random.Random(f"small file {number}, version {version}")
        size = min(int(source.lognormvariate(math.log(MEDIAN_BYTES), SIGMA)), MOST_BYTES)
        noise = 0 if number % 2 else size // 2
        self.path(number).write_bytes(source.randbytes(noise) + self._text.draw(source, size - noise))
        return size


class ManyFiles:
    """``count`` files of a few hundred random bytes, a thousand to a directory: what counts is how many there are."""

    def __init__(self, root: Path, count: int) -> None:
        self.root = root
        self.count = count

    def make(self) -> Extent:
        """Write them all."""
        for first in range(0, self.count, MANY_FILES_IN_DIRECTORY):
            self._path(first).parent.mkdir(parents=True, exist_ok=True)
        return Extent(self.count, sum(self._write(number, version=0) for number in range(self.count)))

    def change(self, version: int) -> Extent:
        """As of ``SmallFiles``: no directory is left as it was."""
        chosen = _choose(self.count, version, share=0.01)
        return Extent(len(chosen), sum(self._write(number, version) for number in chosen))

    def _path(self, number: int) -> Path:
        return self.root / f"d{number // MANY_FILES_IN_DIRECTORY:04d}" / f"f{number:07d}"

    def _write(self, number: int, version: int) -> int:
        source = random.Random(f"one of many files {number}, version {version}")
        return self._path(number).write_bytes(source.randbytes(source.randint(MANY_LEAST_BYTES, MANY_MOST_BYTES)))


def make_large_files(root: Path, total_bytes: int, count: int = LARGE_FILES) -> Extent:
    """``count`` equal files, ``total_bytes`` together: every other one random, the rest text."""
    text = Text(40_000)
    root.mkdir(parents=True)
    size = total_bytes // count
    for number in range(count):
        source = random.Random(f"large file {number}")
        draw = source.randbytes if number % 2 else lambda wanted, source=source: text.draw(source, wanted)
        with open(root / f"large{number:02d}.dat", "wb") as file:
            for start in range(0, size, PIECE_BYTES):
                file.write(draw(min(PIECE_BYTES, size - start)))
    return Extent(count, size * count)


class TextInPlenty:
    """Text in any amount, a gigabyte in seconds: one text, each time with other letters for its letters.

    No piece of it comes twice, so that nothing is stored once for two.
    """

    def __init__(self) -> None:
        self._text = Text(_PLENTY_WORDS).draw(random.Random("text in plenty"), PIECE_BYTES)
        self._source = random.Random("letters")

    def write(self, path: Path, size_bytes: int) -> None:
        """A file of the next text, in a directory that is made if there is none."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            for start in range(0, size_bytes, PIECE_BYTES):
                letters = bytes(self._source.sample(range(256), 256))
                file.write(self._text.translate(letters)[: size_bytes - start])


def make_empty_files(root: Path, count: int) -> Extent:
    """``count`` empty files, a thousand to a directory."""
    for first in range(0, count, EMPTY_FILES_IN_DIRECTORY):
        directory = root / f"d{first // EMPTY_FILES_IN_DIRECTORY:04d}"
        make_empty_files_in(directory, range(first, min(first + EMPTY_FILES_IN_DIRECTORY, count)))
    return Extent(count, 0)


def make_empty_files_in(directory: Path, numbers: range) -> Extent:
    """A directory of empty files with these numbers in their names."""
    directory.mkdir(parents=True)
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for number in numbers:
            # One call a file, where opening and closing are two.
            os.mknod(f"f{number:07d}", stat.S_IFREG | 0o644, dir_fd=opened)
    finally:
        os.close(opened)
    return Extent(len(numbers), 0)


def make_tiny_files(root: Path, count: int) -> Extent:
    """``count`` files of a few random bytes, a thousand to a directory: each becomes a blob of its own."""
    source = random.Random("tiny files")
    for number in range(count):
        directory = root / f"d{number // TINY_FILES_IN_DIRECTORY:04d}"
        if number % TINY_FILES_IN_DIRECTORY == 0:
            directory.mkdir(parents=True)
        (directory / f"f{number:07d}").write_bytes(source.randbytes(TINY_BYTES))
    return Extent(count, count * TINY_BYTES)


def remove_three_tenths(root: Path) -> None:
    """Remove three of ten files, in every directory."""
    for number, entry in enumerate(sorted(walk_files(root), key=lambda entry: entry.path)):
        if number % 10 < 3:
            os.unlink(entry.path)


def _choose(count: int, version: int, share: float) -> list[int]:
    return random.Random(f"change {version}").sample(range(count), max(1, round(count * share)))


def measure_extent(root: Path) -> Extent:
    """The files below ``root`` and their bytes."""
    sizes = [entry.stat(follow_symlinks=False).st_size for entry in walk_files(root)]
    return Extent(len(sizes), sum(sizes))


def walk_files(root: Path) -> Iterator[os.DirEntry[str]]:
    """Each regular file below ``root``."""
    waiting = [os.fspath(root)]
    while waiting:
        with os.scandir(waiting.pop()) as listing:
            for entry in listing:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield entry
