"""The ``proofroom`` command, before anything of it is loaded.

Loading takes some tenths of a second, in which Python would answer Ctrl-C with a traceback of its imports.
"""

from __future__ import annotations

import signal


def main() -> int:
    """Load the command line and run it; until then Ctrl-C ends the process as the system does: at once, silently, 130 in a shell."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # and not ignored, as in the background of a script
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from proofroom.adapters.cli import main as run

    signal.signal(signal.SIGINT, handler)
    return run()
