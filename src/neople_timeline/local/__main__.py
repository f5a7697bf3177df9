"""`python -m neople_timeline.local up|down|status|cluster`; Ctrl-C while it still loads ends it without a word."""

import signal
import sys


def main() -> None:
    """Leave Ctrl-C to the system until `stack.exit_with` hears it, and load what takes its time."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # and not ignored, as in the background
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.argv[1:2] == ["cluster"]:
        del sys.argv[1]
        from neople_timeline.local.cluster import main as start  # noqa: PLC0415 - what takes its time
    else:
        from neople_timeline.local.stack import main as start  # noqa: PLC0415 - as above
    start()


if __name__ == "__main__":
    main()
