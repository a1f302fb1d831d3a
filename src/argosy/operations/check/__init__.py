"""Test a repository: can every snapshot be restored? With ``--read-data``: is every stored byte what it should be?

Terms. A *problem* is damage, named with its file and what to do about it: it makes the exit code 1. A *hint* is
something that costs room or time and endangers nothing (packs that no index names, packs listed twice).

1. The lock (exclusive, unless told otherwise), then the lists: snapshots before indexes, indexes before packs.
2. Each index is read; the *inventory* notes every blob's id, every tree's place, every pack's size (``inventory``).
3. The packs in the store are compared with it: missing, of another size, listed by no index (``packs_present``).
4. Each tree that a snapshot reaches is read once, by the workers, and its nodes looked at (``tree_checks``); the
   master tests that what it names is in an index (``walk``).
5. With ``--read-data`` workers read packs whole: the hash is the name, the header says what the index says, and each
   blob's signature, compressed bytes and hash hold (``pack_checks``). A pack that fails is read a second time.
6. Problems and hints are told as they are found; the lock is tested last: without it nothing that was found counts.

4 and 5 run at the same time through the engine (``coordinator``, ``worker``). Nothing is taken from this machine's
caches, unless asked for, and nothing is written besides the lock.

Not guaranteed: without ``--read-data``, anything about the contents of data packs; that files restore to the size
that their node tells (restic wrote such nodes; its check says nothing about them either).
"""
