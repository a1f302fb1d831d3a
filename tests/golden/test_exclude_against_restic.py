"""The exclude rules against restic itself: for each set of options both must keep the same paths of one
tree.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from argosy.filesystem.directory import list_directory, open_child, open_directory
from argosy.filesystem.exclude import (
    CACHE_TAG,
    ExcludeRules,
    parse_size,
    parse_tag_rule,
    read_pattern_file,
)
from argosy.restic_format.blob import blob_id
from argosy.restic_format.crypto import MasterKey
from argosy.restic_format.key_file import encode_key_file, seal_key_file
from tests.support.restic import PASSWORD, ResticRepository, require_restic
from tests.support.trees import File, Tree, make_tree

TREE: Tree = {
    "a": {
        "x": {"b": {"c": b"", "y": {"c": b""}}, "c": b"", "file.txt": b"", "File.TXT": b""},
        "b": {"c": b"", "x": {"c": b""}, "file.tmp": b""},
        "c": {"a": {"b": b"", "c": {}}},
        "*": {"star": b""},
        "**": {"two stars": b""},
    },
    "b": {"a": {"b": {"a": b""}}, "!c": b"", "#d": b"", " e ": b"", "[f]": b"", "\\g": b"", "a-z": b""},
    "cache": {
        "CACHEDIR.TAG": CACHE_TAG.header + b"\n",
        "data": b"",
        "below": {"data": b""},
    },
    "tagged": {".nobackup": b"", "data": b"", "d": {"data": b""}},
    "headed": {".nobackup": b"header and more", "data": b""},
    "wrong": {"CACHEDIR.TAG": b"Signature: none", "data": b""},
    "sizes": {"1023": bytes(1023), "1024": bytes(1024), "1025": bytes(1025), "holes": File(size_bytes=1 << 20)},
    "node_modules": {"deep": {"node_modules": {"x": b""}}},
    "home": {"user": {"foo": {"bar": {"baz": {"x.go": b""}, "x.go": b"", "X.GO": b""}, ".x": b""}}},
    "é": {"É": b"", "e\u0301": b"", "中文": b""},
    b"odd \xff": b"",
    "new\nline": b"",
    "İstanbul": b"",
    "empty": {},
    "...": b"",
}

ONE_PATTERN = [
    "*", "**", "*.txt", "*.TXT", "*.t?t", "?", "??", "a", "b", "c", "a/", "/a", "{root}", "{root}/a", "{root}/a/",
    "{root}/a/*", "{root}/a/**", "{root}/*/b", "{root}/**/c", "{root}/a/**/c", "{root}/a/**/b/**/c", "a/b", "a/*/c",
    "a/**/c", "a/**/b/**/c", "**/a/**/b/**", "a/**/**/c", "b/a/b/a", "**/b/a", "a/x/**", "**/**", "./a/b", "a/../b",
    "a//b", "{root}/./a/../b", "node_modules", "**/node_modules/**", "node_modules/*/node_modules", "foo/**/*.go",
    "user/**/x.go", "home/user/foo/bar/baz", "[ab]", "[^ab]", "[!ab]", "[a-c]", "[c-a]", "[ab]/[ab]", "\\*",
    "\\**", "a/\\*\\*", "\\[f\\]", "[[]f]", "\\\\g", "a\\-z", "[é-ï]", "é", "É", "é/?", "é/??", "中*", "*文",
    "[一-龥]*", "odd ?", "odd ??", "odd [^a]", "new?line", "*\nl*", "#d", " e ", "*e *", "x", "*x*", ".*", "...",
    "..", ".", "/", "{root}/", "!a", "{root}/a/x/file.txt/below", "file*", "f*e*.t*t", "*[tT]", "{root}/[ab]/[^a]",
    "*/*/*/*", "{root}/*/*", "empty/*", "{parent}", "{parent}/*/b",
]  # fmt: skip

SEVERAL_PATTERNS = [
    ["*.txt", "*.tmp"],
    ["a/*", "!a/b"],
    ["a/*", "!a/b", "a/b/c"],
    ["!a/b", "a/*"],
    ["{root}/*", "!{root}/home", "!{root}/é"],
    ["c", "!x/c"],
    ["*", "!a"],
    ["**/c", "!**/x/**/c"],
    ["\\!c"],
    ["!"],
    ["b", "!b", "b"],
    ["[ab]", "!a", "*.go"],
]

IGNORING_CASE = ["*.txt", "FILE*", "[A-B]", "{root}/A", "É", "*İSTANBUL", "i*", "ODD *", "X.go", "{root}/A/**/C"]

OTHER_OPTIONS: list[list[str]] = [
    ["--exclude-caches"],
    ["--exclude-if-present", ".nobackup"],
    ["--exclude-if-present", ".nobackup:header"],
    ["--exclude-if-present", ".nobackup", "--exclude-if-present", "data"],
    ["--exclude-larger-than", "1k"],
    ["--exclude-larger-than", "1023"],
    ["--exclude-larger-than", "1M"],
    ["--exclude-larger-than", "0"],
    ["--exclude-caches", "--exclude", "*.txt", "--iexclude", "X.*", "--exclude-larger-than", "1K"],
    ["--exclude-file", "# comment\n\n  *.txt  \n$PLACE/c\n${{PLACE}}/x\n# c\n!\n$$\nfile*$\n"],
    ["--iexclude-file", "*.TXT\n\\#D\r\n"],
    ["--exclude-file", "\ufeffx\n"],
]


@dataclass(frozen=True)
class Case:
    """Options of ``restic backup``; {root} stands for the tree's path, {parent} for the name of what holds
    it.
    """

    options: Sequence[str]

    def __str__(self) -> str:
        return " ".join(self.options).encode("unicode_escape").decode()


CASES = [
    *[Case(["--exclude", pattern]) for pattern in ONE_PATTERN],
    *[Case([word for p in patterns for word in ("--exclude", p)]) for patterns in SEVERAL_PATTERNS],
    *[Case(["--iexclude", pattern]) for pattern in IGNORING_CASE],
    *[Case(options) for options in OTHER_OPTIONS],
]


@dataclass(frozen=True)
class Place:
    """The tree, and a repository whose key opens at once."""

    root: Path
    repository: ResticRepository
    key_id: str

    def filled(self, case: Case) -> list[str]:
        return [word.format(root=self.root, parent=self.root.parent.name) for word in case.options]

    def kept_by_restic(self, options: Sequence[str]) -> set[str]:
        """The files and directories that a backup would hold; in JSON, bytes that are no UTF-8 are U+FFFD."""
        command = ["backup", "--dry-run", "-vv", "--key-hint", self.key_id, *options, str(self.root)]
        lines = self.repository.json_lines(*command)
        items = {line["item"].rstrip("/") for line in lines if line.get("action") == "new"}
        return {item for item in items if item.startswith(f"{self.root}/")}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    home = tmp_path_factory.mktemp("rules")
    make_tree(home / "tree", TREE)
    restic = require_restic((0, 18, 0))
    repository = replace(restic.at(home / "repository", home), environment={"PLACE": str(home / "tree/b")})
    repository.init()
    master = MasterKey.from_json(repository.run("cat", "masterkey").stdout)
    # A key with the least of scrypt: with its own, every run would spend half a second on the password.
    numbers: dict[str, Any] = {"created": "2020-01-01T00:00:00Z", "username": "", "hostname": "", "n": 2, "r": 1}
    key = encode_key_file(seal_key_file(master, PASSWORD.encode(), os.urandom, **numbers, p=1))
    key_id = blob_id(key).hex()
    (home / "repository/keys" / key_id).write_bytes(key)
    return Place(home / "tree", repository, key_id)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_same_is_kept(place: Place, case: Case, tmp_path: Path) -> None:
    options = place.filled(case)
    rules = rules_for(options, {b"PLACE": os.fsencode(place.root / "b")})
    kept = {as_json_has_it(path) for path in kept_below(place.root, rules)}
    assert kept == place.kept_by_restic(with_files(options, tmp_path))


def test_the_cases_exclude_something_and_keep_something(place: Place) -> None:
    """Otherwise two matchers that say the same to everything would pass."""
    total = len(list(kept_below(place.root, ExcludeRules())))
    counts = [
        len(list(kept_below(place.root, rules_for(place.filled(case), {}))))
        for case in CASES
        if "-file" not in str(case)
    ]
    assert sum(0 < count < total for count in counts) > 60
    assert len(set(counts)) > 15


def test_a_malformed_pattern_is_refused_by_both(place: Place) -> None:
    for pattern in ("[", "[]a]", "a[", "\\", "x/[a", "[a-]", "[-a]", "a/[b/c]"):
        place.repository.run(
            "backup", "--dry-run", "--key-hint", place.key_id, "--exclude", pattern, str(place.root), expect=(1,)
        )
        with pytest.raises(Exception, match="invalid pattern"):
            ExcludeRules([pattern.encode()])


def rules_for(options: Sequence[str], environment: dict[bytes, bytes]) -> ExcludeRules:
    """What the command line makes of the options."""
    patterns: list[bytes] = []
    insensitive: list[bytes] = []
    tags = []
    limit = None
    words = iter(options)
    for word in words:
        if word == "--exclude-caches":
            tags.append(CACHE_TAG)
            continue
        value = os.fsencode(next(words))
        if word == "--exclude":
            patterns.append(value)
        elif word == "--iexclude":
            insensitive.append(value)
        elif word == "--exclude-file":
            patterns += read_pattern_file(value, environment)
        elif word == "--iexclude-file":
            insensitive += read_pattern_file(value, environment)
        elif word == "--exclude-if-present":
            tags.append(parse_tag_rule(value))
        else:
            assert word == "--exclude-larger-than"
            limit = parse_size(value.decode())
    return ExcludeRules(patterns, insensitive, tags=tags, larger_than_bytes=limit)


def with_files(options: Sequence[str], directory: Path) -> list[str]:
    """The options with the contents of pattern files replaced by files that hold them."""
    filled = list(options)
    for number, word in enumerate(options):
        if word.endswith("-file"):
            path = directory / f"list{number}"
            path.write_text(options[number + 1], newline="")
            filled[number + 1] = str(path)
    return filled


def kept_below(root: Path, rules: ExcludeRules) -> Iterator[bytes]:
    """All paths that the rules keep, judged a directory at a time, and each of them alone with the same
    result.
    """
    path = os.fsencode(root)
    # restic 0.18 applies the rules to what was named, too.
    if not rules.excluded(path, is_dir=True):
        fd = open_directory(path)
        yield from _kept_in(path, fd, rules)


def _kept_in(path: bytes, fd: int, rules: ExcludeRules) -> Iterator[bytes]:
    try:
        for entry in rules.select(path, fd, list_directory(fd)).kept:
            place = path + b"/" + entry.name
            is_dir = entry.stat.st_mode & 0o170000 == 0o040000
            assert not rules.excluded(place, is_dir)
            yield place
            if is_dir:
                yield from _kept_in(place, open_child(fd, entry.name), rules)
    finally:
        os.close(fd)


def as_json_has_it(path: bytes) -> str:
    return path.decode("utf-8", "replace")
