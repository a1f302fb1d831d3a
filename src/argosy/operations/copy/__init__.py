"""Copies snapshots from one repository to another, which has other keys.

1. Both are locked (neither exclusively). A snapshot that the target has already is skipped (``run``).
2. Each tree that a snapshot reaches is read once in a run; what the target lacks is stored there: a tree's bytes as
   they are, the blobs of files as they come, in order of packs (``transfer``). Every blob is verified when it is read
   (MAC, length, hash) and sealed anew with the target's key.
3. Packs durable, then listed in indexes, then the snapshot is stored. Killed at any moment the target is whole, and
   what an index lists by then is not copied again.

Memory: 34 bytes for each tree that was read and each blob that was copied, a few MiB of ids, and for each thread the
range of a pack that it reads.

Not guaranteed: that blobs which the target has already are undamaged; that files are cut alike in both: without common
chunker parameters equal files are stored twice, once as copied and once as backed up.
"""
