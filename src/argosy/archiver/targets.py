"""From the paths that a user names to the top of the snapshot's tree.

The root tree holds the path components of each absolute target ("/mnt/nas/x": mnt, nas, x), each with real metadata;
a relative target keeps the components as given, and "." stands for its directory's entries (as restic does it).
Directories above targets hold nothing else; targets themselves are scanned.
"""

from __future__ import annotations

import os
import stat as stat_module
from collections.abc import Callable, Sequence

import msgspec

from argosy.errors import SourceGone, UsageError

Components = tuple[bytes, ...]


class Target(msgspec.Struct, frozen=True):
    """A path to save: where it is read, and its place in the snapshot's tree. No components: the root itself."""

    path: bytes
    components: Components


class TopNode(msgspec.Struct):
    """A directory above targets, or a target. ``path`` is where its metadata is read."""

    name: bytes
    path: bytes
    is_target: bool = False
    children: dict[bytes, TopNode] = msgspec.field(default_factory=dict)


def resolve_targets(paths: Sequence[bytes], directory: bytes, *, shown_as: bytes | None = None) -> list[Target]:
    """Targets for paths as given in the working ``directory``; ``shown_as`` is --as, for exactly one path."""
    if shown_as is not None:
        if len(paths) != 1 or not shown_as.startswith(b"/"):
            raise UsageError(
                "--as takes an absolute path and exactly one source", hint="argosy backup --as PATH SOURCE"
            )
        return [Target(_absolute(paths[0], directory), _components(os.path.normpath(shown_as)))]
    targets = []
    for path in paths:
        clean = os.path.normpath(path)
        if not clean.startswith(b"/"):
            parts = [part for part in clean.split(b"/") if part not in (b".", b"..")]
            targets.append(Target(_absolute(clean, directory), tuple(parts)))
        else:
            targets.append(Target(_absolute(clean, directory), _components(clean)))
    if len(targets) > 1:
        targets = [inner for target in targets for inner in (_entries(target) if not target.components else [target])]
    return targets


def plan_top(targets: Sequence[Target]) -> TopNode:
    """The top of the snapshot's tree. A target below another one is part of it already."""
    root = TopNode(b"", b"/")
    for target in sorted(targets, key=lambda target: len(target.components)):
        node, depth = root, len(target.components)
        for position, name in enumerate(target.components):
            if node.is_target:
                break
            if name not in node.children:
                node.children[name] = TopNode(name, _ancestor(target, depth - 1 - position))
            node = node.children[name]
        else:
            if node.is_target and node.path != target.path:
                raise UsageError(
                    f"two sources would have the same place in the snapshot: {os.fsdecode(node.path)}"
                    f" and {os.fsdecode(target.path)}",
                    hint="Name one of them by its absolute path.",
                )
            node.is_target, node.path = True, target.path
    return root


def lstat_top(path: bytes) -> os.stat_result:
    """The metadata of a path that the user named."""
    return _look(path, os.lstat)


def stat_above(path: bytes) -> os.stat_result:
    """The metadata of a directory above a target. A link on the way counts as what it leads to, as in restic."""
    return _look(path, os.stat)


def is_directory(path: bytes) -> bool:
    """Whether a target is to be scanned, rather than saved as one entry."""
    return stat_module.S_ISDIR(lstat_top(path).st_mode)


def _look(path: bytes, look: Callable[[bytes], os.stat_result]) -> os.stat_result:
    try:
        return look(path)
    except OSError as error:
        raise SourceGone(
            f"the source {os.fsdecode(path)} cannot be read: {error.strerror}",
            hint="Check that the path is right and the share is mounted.",
        ) from error


def _ancestor(target: Target, levels: int) -> bytes:
    path = target.path
    for _ in range(levels):
        path = os.path.dirname(path)
    return path


def _absolute(path: bytes, directory: bytes) -> bytes:
    return os.path.normpath(os.path.join(directory, path))


def _components(path: bytes) -> Components:
    return tuple(part for part in path.split(b"/") if part)


def _entries(target: Target) -> list[Target]:
    try:
        return [Target(os.path.join(target.path, name), (name,)) for name in sorted(os.listdir(target.path))]
    except OSError as error:
        raise SourceGone(f"the source {os.fsdecode(target.path)} cannot be listed: {error.strerror}") from error
