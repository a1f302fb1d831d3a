"""Mend what can be mended, lose nothing that can be kept, and name what is lost.

1. ``index``: indexes that are right again, made from those that can be read and from the packs' own headers.
2. ``packs``: what is sound in damaged packs goes into new ones; then the damaged ones go.
3. ``snapshots``: what is lost for good is taken out of the snapshots, and named (``mending``).

In this order: 2 needs indexes that can be read, 3 needs an index that lists nothing that is gone. Each stores the new
before it removes the old, under an exclusive lock, and leaves the repository no worse than it was whenever it dies.

Not guaranteed: that a data blob which an index lists is sound: only ``check --read-data`` tells. A key or the config
that is damaged cannot be mended from the rest.
"""
