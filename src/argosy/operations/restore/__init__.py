"""Restoring a snapshot, or a part of it, to a directory.

``run_restore`` opens the repository, plans (``restorer.plan``), hands the tasks to workers (``tasks``), finishes
directories as they complete (``coordinator``), and verifies if asked (``verification``). A restore keeps no record: run
again, it compares what is there with the snapshot, and goes on.
"""
