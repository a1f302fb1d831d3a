"""The long-running halves of a cluster: the master that runs jobs, the proxies that lend it their workers.

Terms. The *master* starts nats-server, takes *requests* from clients, and runs one job after the other, each through
the same operation as on one machine, on an engine whose members are its own workers and the proxies. A job's *kind* is
backup, restore, check, prune or verify; its *order* is what is to be done, its *work* does it, and a *run* is one
attempt at it. A *proxy* dials out to the master; before its workers begin it *compares its sight* with the master's
(the same source or target, the same repository) and *fits* the job's setup to its own machine. A *client* is a command
that submits a job and follows it.

1. A client sends a request, with the repository's password and the storage's credentials: they stay in memory.
2. The master queues it, runs it, and keeps what it tells its observer; the client asks for that again and again, from
   where it was, and tells it to an observer of its own.
3. At the end the client has the operation's result, or its error, and ends as the operation would have here.

Not guaranteed: that a job survives its master's end by itself. It can be resumed: the same request goes on with it.
"""
