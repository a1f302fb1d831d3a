"""Restore's own half: from a snapshot's trees to files in a target directory.

Terms. The *target* is the directory that everything is restored below. A *location* is a path within the snapshot, or
within the part of it that is restored; below the target it is the same path. A *part* is a run of one directory's
entries within a batch. A directory is *whole* in a batch when all its entries are: then the worker finishes it. To
*finish* a directory is to delete what does not belong there (if asked) and to set its metadata; nothing may be made in
it afterwards. A *verdict* says what is to become of an entry that may exist already.

How it works.
1. The master walks the trees depth first and cuts them into batches of about 1,000 entries or 64 MiB; entries travel
   as the JSON that stands in the tree. A file above 256 MiB, or half of that towards the end, is cut into segments that
   several workers restore.
2. A worker opens the directories of a batch step by step from the target, never through a symbolic link, and compares
   what exists; then it reads the blobs that are wanted, by pack and offset, and writes each where it belongs. In
   directories that it has just made, files of one blob are left to the native kernel (``fresh_files``).
3. A file gets its times last, when all its content is there: size and times that agree mean that it is complete.
4. Further names of a file follow when the batch with its first name is done. Directories are finished children first,
   by the worker where they are whole, else by the master.

Not guaranteed: that a target is untouched when a restore fails. What was restored stays, and the same command goes on.
"""
