"""Spread tasks over workers and hear what becomes of them; nothing here knows of backup.

Terms. A *task* is a number, an attempt and bytes. A *worker* is a process that runs a *handler*, made
there by a factory named as ``"package.module:callable"``. A *member* is the machine (or the local process
group) that its workers belong to. The *window* is what an engine takes in advance: two tasks a worker,
one being worked on and one waiting beside it, so that a worker never waits for the master.

How a task goes:
1. The master offers as many tasks as ``wanted()`` says; the lowest id is handed out first.
2. A worker starts one (TaskTaken) and gets its next one when ``work()`` returns.
3. The worker holds the task until its handler completes or fails it, perhaps while it works on later ones.
4. A worker that dies lets everything lapse that it held (TaskLapsed). The master decides what is offered
   again.

Not guaranteed: that a task is worked on only once (a lapsed one may have done all its work, so tasks are
idempotent and the master accepts one attempt), and any order between workers. Events of one worker come
in the order in which it sent them.
"""
