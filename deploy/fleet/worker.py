"""The process of one replay: the `octoview` command, ended with whoever started it.

A fleet or a Ray worker that is killed would else leave replays behind, which go on beside those
that are started in their place.
"""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2), Linux


def main() -> None:
    """Run the command line of this process."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    from deploy import cli  # takes a second, in which the parent may be killed

    cli.main()


if __name__ == "__main__":
    main()
