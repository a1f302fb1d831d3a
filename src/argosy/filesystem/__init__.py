"""What Argosy knows of a Linux file system: listing, reading, metadata, exclude rules, and writing a restore.

Terms
    entry       one name of a directory with its ``lstat``; a name is raw bytes, never decoded
    rules       which entries a backup leaves out (restic's pattern language)
    target      the directory that a restore writes into; nothing outside it is ever touched

Everything is done relative to an open directory descriptor, one component at a time and without following
symbolic links, so that a directory swapped for a link, or a path beyond PATH_MAX, changes nothing. A source
is only read: files and directories are opened with O_NOATIME where the kernel grants it.

Errors: a call about one entry raises ``OSError`` with the entry's name, because its errno is what the
caller decides by (a vanished file, one that may not be read, a share that went away). Everything else
leaves as ``ArgosyError``.

Not guaranteed: a listing is no snapshot of its directory; entries that vanish while it is taken are left
out. ``/proc`` must be mounted: the kernel offers some calls by path only, and ``/proc/self/fd`` names an
open descriptor safely.
"""
