"""One module a verb; each holds ``command``. See ``argosy.cli`` for how to write one."""
