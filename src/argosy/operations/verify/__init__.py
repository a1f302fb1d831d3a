"""`argosy verify`: is a directory what a snapshot says? Contents by hash, and the metadata of every entry.

Terms. A *difference* is an entry that is not the same on both sides, or only on one. *Unreadable* is what could not be
compared, because the source did not give it. A *problem* is damage in the repository.

1. The master walks the snapshot's trees and cuts them into parts of directories (``plan``). It finds out how long each
   blob of a file is, so that workers need nothing of the repository but the tree's nodes: no key, no access.
2. A worker lists the directory, compares the metadata of each entry (``entries``), reads each file and hashes it blob
   by blob (``contents``). A file that changes meanwhile is read again, at most twice.
3. The master counts, tells of what was found, and writes the report (``report``), whose lines of hashes `sha256sum -c`
   reads; it is signed with a key derived from the repository's.

Memory is bounded by one directory's listing and the tasks under way, not by the number of entries.

Not guaranteed: that the two were the same at one moment, since the source may change behind the comparison's back; that
the repository gives the bytes back: `argosy check --read-data` tests that.
"""
