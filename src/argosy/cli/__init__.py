'''The command line: arguments in, text or JSON lines out. It parses, calls an operation, and prints.

How to add a verb. Write ``cli/commands/<verb>.py`` (``-`` becomes ``_``) that holds ``command``, and add the verb with
its one-line help to ``cli/verbs.py``::

    @verb("check")                      # adds the global flags; the function's docstring is the help
    @click.option("--read-data", is_flag=True, help="read every byte")
    def command(ctx: Context, read_data: bool) -> int:
        """What --help prints."""
        from argosy.operations.check import CheckOptions, run_check   # heavy imports stand here

        with ctx.stopping() as stop_requested:       # first Ctrl-C or SIGTERM: asked to stop; without it: exit 130
            result = run_check(ctx.access, CheckOptions(read_data=read_data), ...)
        if ctx.json:
            ctx.output.document({"message_type": "summary", ...})
        else:
            ctx.output.line("no errors were found")
        return result.exit_code

A verb with verbs of its own (``key add``) is ``command = verb_group("key", "Manage passwords")`` with
``@verb("add", group=command)``. Errors are raised as ArgosyError, never printed or turned into a code here: ``main``
does that. ``output`` has the channels, ``wording`` sizes, durations, times and names fit to print, ``table`` tables,
``values`` parameter types (duration, size_in, rate, moment, number); ``choosing`` gives a command --host, --tag and
--path, as the SnapshotFilter ``wanted``.

Start-up counts: ``argosy --version`` imports click and little else. A command module imports operations inside its
function; rich is imported when a display is started.
'''
