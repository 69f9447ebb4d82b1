"""The device in recovery mode at the other end of the USB cable."""

import re
import subprocess

from deploy.flash.matrix import BOARDS, VENDOR, Board, FlashError


def check_recovery(board: Board) -> str:
    """The module that waits in recovery mode, such as `Orin NX 16GB`.

    Raises FlashError when there is none, more than one, or that of another board.
    """
    products = _connected()
    known = {product: (b, m) for b in BOARDS.values() for product, m in b.recovery.items()}
    waiting = [product for product in products if product in known]
    if not waiting:
        raise FlashError(
            "no Jetson in recovery mode on USB; hold Force Recovery, press Reset, let go, and "
            f"look for {VENDOR}: in lsusb"
        )
    if len(waiting) > 1:
        names = ", ".join(known[product][1] for product in waiting)
        raise FlashError(f"{len(waiting)} Jetsons in recovery mode ({names}); connect one alone")
    (product,) = waiting
    found, module = known[product]
    if found is not board:
        raise FlashError(
            f"{module} in recovery mode ({VENDOR}:{product}), but --board {board.name}; connect "
            f"that, or say --board {found.name}"
        )
    return module


def _connected() -> list[str]:
    """USB products of NVIDIA, four hexadecimal digits each."""
    try:
        done = subprocess.run(
            ["lsusb", "-d", f"{VENDOR}:"], capture_output=True, text=True, check=False, timeout=30
        )
    except FileNotFoundError as error:
        raise FlashError("no lsusb here; apt-get install usbutils") from error
    return re.findall(rf"ID {VENDOR}:([0-9a-f]{{4}})", done.stdout)
