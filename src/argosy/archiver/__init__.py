"""Backup's own half: from the source to durable packs and finished trees.

Terms. An *entry* is a name of a directory with its lstat. A *part* is a run of one directory's entries within a batch,
in name order. A directory is *whole* in a batch when all its entries are: then the worker builds its tree. A *prefix*
is a node's encoded metadata up to and including its links.

How it works.
1. Scan threads take directories from the frontier, list them and compare them with the parent snapshot's trees.
2. What is unchanged keeps its node; the rest goes into the thread's open batch, which is sealed when it is full.
3. Workers read, chunk, hash, deduplicate, compress, encrypt and pack; they return nodes or finished trees.
4. The master puts the results into the directories' assemblies; a complete one becomes a tree, and a node above it.
5. The root's tree is the snapshot's. It depends on the source alone: names are merged in order, whoever read them.

Not guaranteed: that a source which changes while it is read is seen as of one moment; each directory is as listed at
some time between start and end, each file as read between two looks at its metadata.
"""
