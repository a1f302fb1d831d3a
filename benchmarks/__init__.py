"""Measures Argosy against restic 0.18 on the same data: ``python -m benchmarks``, or ``scripts/bench``.

Terms. A *scenario* is one kind of work (a to h, and ``start``). A *pair* is one run of Argosy and one of restic right
after it, on the same source; the ratio of a pair is restic's figure by Argosy's, and a row shows the median of the
pairs' ratios with the least and the greatest: what else the machine does hits both halves of a pair alike, or shows as
spread. A *place* is one program's own folder: repository, cache, state.

Both are run as whole processes, as from cron: no terminal, each with its cache, the same password in the environment,
the same compression, repositories with the same key, so that opening one costs both the same.

Wall time is from the start of the process to its end. CPU time is user and system time of it and of all processes that
it waited for. Memory is the greatest sum of the proportional set sizes (PSS) of its process tree, sampled in a pair of
its own before the timed ones.

Commands of their own, with Argosy alone: ``benchmarks.scale`` (how costs grow), ``lookup`` and ``master_cost`` (what
parts cost), ``queue_simulation`` and ``capacity`` (what follows for more than a machine holds), ``curves`` (draws
them), ``cluster`` and ``copies`` (hosts of network namespaces).

Not guaranteed: figures of one machine for another, or of a machine that does something else meanwhile.
"""
