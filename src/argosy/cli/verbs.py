"""The verbs of the program, each with its line in ``argosy --help``: no command module is imported to print it."""

from __future__ import annotations

VERBS: dict[str, str] = {
    "attach": "Follow a job of a master to its end",
    "backup": "Back up files and directories; an interrupted backup goes on",
    "cache": "List the caches of this machine, or remove old ones",
    "cancel": "Stop a job of a master",
    "cat": "Print an internal document of the repository",
    "check": "Test the repository for errors",
    "cluster": "Manage who may take part in a cluster",
    "copy": "Copy snapshots from another repository",
    "diff": "What changed from one snapshot to another",
    "dump": "Print a saved file, or a directory as an archive",
    "find": "Find files in snapshots, by name, time, blob, tree or pack",
    "forget": "Remove snapshots, by rules or by name",
    "init": "Make a new repository",
    "jobs": "Running, unfinished and ended jobs of this machine",
    "key": "Manage the repository's passwords",
    "list": "List the ids of the repository's files",
    "logs": "What happened to a job",
    "ls": "List the files of a snapshot",
    "master": "Run jobs over this machine and the proxies that join",
    "migrate": "Say which changes of format a repository could have",
    "mount": "Show snapshots as a read-only file system",
    "proxy": "Lend this machine's workers to a master",
    "prune": "Remove what no snapshot uses",
    "recover": "Save directories that no snapshot names any more in a new one",
    "repair": "Mend a damaged repository: index, packs, snapshots",
    "restore": "Give back a snapshot, or a part of it",
    "rewrite": "Store snapshots anew, without what is left out",
    "snapshots": "List the snapshots",
    "stats": "Sizes and counts of snapshots and the repository",
    "status": "Running and unfinished jobs: members, batches, scan threads",
    "tag": "Change the tags of snapshots",
    "unlock": "Remove locks that other processes left",
    "verify": "Compare a snapshot with a directory, and prove it",
    "version": "Print the version",
}

OPENING = frozenset(
    (
        *("backup", "cat", "check", "copy", "diff", "dump", "find", "forget", "list", "ls", "migrate", "mount"),
        *("prune", "recover", "repair", "restore", "rewrite", "snapshots", "stats", "tag", "verify"),
    )
)
"""Those made with ``unlocks``: their first work is to open the repository."""
