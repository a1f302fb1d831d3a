"""The checkpoint database: what a job must remember so that any crash can be resumed.

Terms. A *job file* is one SQLite database for one job. The *frontier* holds the directories that are found but not
finished (the scan rows). The *queue* holds sealed batches in scan order. An *assembly* is a directory whose tree
waits for results; its *parts* are encoded nodes. *Packs* are those known to be durable.

How it works.
1. Every table has a model in memory that holds only what is in flight.
2. Mutations happen under one mutex, so that the models together are consistent whenever it is free.
3. ``JobDatabase.commit`` asks each model for its changed rows under the mutex, then writes them in one transaction.
4. A row that came and went between two commits is never written.
5. After a crash the models are loaded again: they equal some moment of the run, and never a mixture of two.

Not guaranteed: that the last commit is the newest moment. What happened since is done again; content that was
uploaded meanwhile is found by deduplication where its pack was recorded.
"""
