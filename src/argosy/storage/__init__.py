"""Where a repository's files are kept: a directory of this machine, or a bucket of an object store.

Terms. A *store* holds *objects*: named, immutable runs of bytes. A *name* is relative to the repository
("config", "keys/<hex>", "data/ab/<hex>"). A *location* is what the user writes after ``-r``.

1. ``parse_location`` turns the text into a ``Location``; ``open_storage`` turns that into a ``Storage``.
2. ``LocalStorage`` writes as restic does: temporary file, fsync, rename, fsync of the directory.
3. ``ObjectStorage`` speaks to S3, GCS and Azure through obstore, the only door to that library.
4. A request that fails for a passing reason is repeated, with growing pauses, for a bounded time.
5. ``LimitedStorage`` makes any store keep to a rate.

Not guaranteed: that a listing shows an object written while it runs; that ``create`` holds against a second
writer on a server which ignores conditional requests (it is checked before, not at the same instant); that a
temporary file of a killed writer is removed before a prune asks for it (``unfinished``; it never shows in a listing),
or parts of an upload to an object store before the bucket's own rule does.
"""
