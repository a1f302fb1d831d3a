"""The restic repository format, version 2: bytes in, bytes out. No I/O, no clock, no randomness.

Terms
    blob      a piece of a file (data) or one directory (tree); its id is the SHA-256 of its plaintext
    sealed    IV || AES-256-CTR ciphertext || Poly1305-AES MAC
    pack      sealed blobs, then the sealed list of them (header), then that list's length
    index     which blobs stand where in which packs
    unpacked  a file of one sealed JSON document: index, snapshot, lock; the config is one without compression
    node      one entry of a tree; its bytes count, because a tree's id is the hash of its bytes

Writing, in order: cut a file (chunker), hash (blob), compress (compression), seal (crypto), list (pack),
index the packs (index), encode each file (node), join a directory (tree), describe the backup (snapshot).

Whatever is written here equals what restic 0.18 writes, byte for byte; whatever restic 0.14 to 0.19 wrote is
read. Reading trusts nothing: MAC, hash, size and shape are checked, and what does not hold is
``errors.Damaged``.

Not guaranteed: cut points are not restic's (no reader checks them); Windows attributes pass through unread.
"""
