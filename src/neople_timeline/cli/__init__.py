"""The command line."""

import signal


def start() -> None:
    """Run the command line; Ctrl-C while it still loads ends it at once and without a word."""
    is_heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # and not ignored, as in the background
    if is_heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from neople_timeline.cli.main import main  # noqa: PLC0415 - what takes its time

    if is_heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
