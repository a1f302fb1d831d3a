"""An engine whose workers are threads of this process: no process starts, and nothing travels between processes.

For work that is done without the interpreter's lock, in the native kernel or in a request to a store: a second
processor is used as well as by a second process, at a fraction of the memory.

Where it promises less than ``interface.Engine``: a worker that crashes takes the whole process with it, so no task ever
lapses; whatever ``idle`` or ``notice`` of a handler raises ends the engine with an EngineError; and a thread cannot be
killed, so ``cancel`` waits for the work under way as ``close`` does, and leaves to the process's end what takes longer.
"""
