"""An open repository in restic's format, version 2: what stands between plain blobs and stored objects.

Terms. A *blob* is a piece of file content or a directory's tree; it is sealed (compressed, encrypted, signed)
and stored in a *pack* together with others. An *index* lists packs and what is in them. An *unpacked file* is
one JSON document stored alone: index, snapshot, lock. The *lookup* is this machine's own table of all indexed
blobs.

1. ``open_repository`` reads the config and finds the key that the password opens (``keys``).
2. ``locks`` announces the user of the repository; its lease says how long writing is allowed.
3. ``DedupLookup.synchronize`` makes the lookup equal to the repository's indexes, removals first.
4. Writing: ``encoder`` seals blobs, ``packer`` gathers and uploads them, ``index_writer`` lists the packs.
5. Reading: ``snapshots`` finds a snapshot, ``blobs`` loads trees and contents, verified by MAC and hash.
6. ``cache`` keeps sealed copies of trees and snapshots of a remote repository on this machine.

Not guaranteed: that a blob that the lookup lists is undamaged (check reads it); that a pack is indexed once
it is stored (the order packs, indexes, snapshot is the caller's); that a lock stops programs that ignore
locks.
"""
