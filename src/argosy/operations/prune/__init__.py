"""Remove what no snapshot uses: plan, show, execute, under an exclusive lock.

1. All snapshots are read, and all trees that they reach (``used``): the ids of the blobs in use, a table in memory. A
   snapshot or tree that cannot be read ends the prune, for what it uses is not known.
2. All indexes are read (``contents``): what stands in which pack. A used blob that none lists ends the prune, too. Of
   several copies of a blob one is chosen to be the used one (``copies``).
3. The plan (``plan``, pure): which packs stay, which go, and which are repacked, so that what is unused keeps within
   the bound; packs with trees and data, and trees that are not compressed, are always repacked.
4. Executed (``execute``) in the order that leaves a whole repository whenever it dies: what killed writers left and
   packs in no index are deleted; used blobs are copied into new packs; new indexes list the new packs and those that
   stay; the old indexes are deleted; last the old packs.

Every blob is verified (MAC, length, hash) before it is copied. Nothing that an index lists is deleted before another
index lists a copy of each used blob in it.

Not guaranteed: that blobs in packs which stay are undamaged (``check --read-data``).
"""
