"""`argosy cluster init`: a cluster directory is made where keys may lie."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from argosy.certificates.addresses import Address
from argosy.certificates.cluster_directory import ClusterDirectory
from argosy.certificates.private_files import make_private_directory
from argosy.certificates.register import Register
from argosy.errors import StateUnsuitable
from argosy.filesystem.mounts import filesystem_type, is_network_type


def run_cluster_init(
    directory: Path,
    addresses: Sequence[Address],
    days: int,
    type_of: Callable[[bytes], str] = filesystem_type,
) -> Register:
    """Make a cluster; StateUnsuitable on a network file system, where keys would travel and others hold the disk."""
    make_private_directory(directory)
    kind = type_of(os.fsencode(directory))
    if is_network_type(kind):
        raise StateUnsuitable(
            f"{directory} lies on a network file system ({kind}), and would hold the authority's key",
            hint="Name a local directory with --certs.",
        )
    return ClusterDirectory(directory).init(addresses, days)
