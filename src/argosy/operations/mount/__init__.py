"""`argosy mount`: snapshots as a read-only file system.

    layout     which directories hold which snapshots, from templates; pure
    listing    the entries of one directory of a snapshot
    browser    the whole as one tree: paths to entries, content; no word of FUSE
    fuse       the door to mfusepy
    run        opens, mounts, waits, unmounts

Everything that is shown was verified by MAC and hash; what does not hold is an input/output error and a line in the
log, never other bytes.
"""
