"""Remove snapshots: those named, or of each group those that no rule keeps.

1. The snapshots that the filters let through are told apart by host and paths (``grouping``).
2. To each group the rules are applied (``policy``): pure, with restic's results. A group of which nothing would be kept
   is refused, and with it the whole command, before anything is removed.
3. What is kept and why, and what goes, is told; then the files of the latter are deleted, under an exclusive lock.

Not guaranteed: that room is gained; that is for ``prune``.
"""
