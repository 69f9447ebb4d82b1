"""Which board is flashed with which L4T release and how: nothing outside this table is tried.

Names and options are NVIDIA's, from the Quick Start and the flashing pages of the Jetson Linux
Developer Guide of each release (docs.nvidia.com/jetson/archives/r36.4, r38.4, r39.2.1).
"""

from dataclasses import dataclass

from deploy.errors import DeployError


class FlashError(DeployError):
    """Flashing was refused, before anything was touched, or NVIDIA's tools failed."""


@dataclass(frozen=True)
class Board:
    """A module on NVIDIA's carrier board. `recovery` names it by its USB product in recovery
    mode (vendor 0955)."""

    name: str
    recovery: dict[str, str]


BOARDS = {
    board.name: board
    for board in (
        Board("orin-nano", {"7523": "Orin Nano 8GB", "7623": "Orin Nano 4GB"}),
        Board("orin-nx", {"7323": "Orin NX 16GB", "7423": "Orin NX 8GB"}),
        Board("agx-orin", {"7023": "AGX Orin 64GB or devkit", "7223": "AGX Orin 32GB"}),
        Board("thor", {"7026": "Thor T5000", "7226": "Thor T4000"}),
    )
}

VENDOR = "0955"


@dataclass(frozen=True)
class Way:
    """How one board is flashed with one release.

    `target`: of the package. `config`: NVIDIA's name of board and carrier. `script`: relative to
    Linux_for_Tegra. `options`: for a root file system on `storage`.
    """

    target: str
    config: str
    storage: str
    script: str
    options: tuple[str, ...]


_NVME_XML = "tools/kernel_flash/flash_l4t_t234_nvme.xml"
_T234_NVME = ("--external-device", "nvme0n1p1", "-c", _NVME_XML)
_QSPI = ("-p", "-c bootloader/generic/cfg/flash_t234_qspi.xml")
_LOG = ("--showlogs", "--network", "usb0")
_SCRIPT_36 = "tools/kernel_flash/l4t_initrd_flash.sh"
_SCRIPT_38 = "l4t_initrd_flash.sh"
_NANO = "jetson-orin-nano-devkit-super"
_AGX = "jetson-agx-orin-devkit"
_THOR = "jetson-agx-thor-devkit"
_NANO_36 = Way("jetson-orin-jp6", _NANO, "nvme", _SCRIPT_36, (*_T234_NVME, *_QSPI, *_LOG))
_AGX_36 = Way("jetson-orin-jp6", _AGX, "emmc", _SCRIPT_36, _LOG)
_ORIN_36 = {"orin-nano": _NANO_36, "orin-nx": _NANO_36, "agx-orin": _AGX_36}
_THOR_38 = {"thor": Way("jetson-thor-jp7", _THOR, "nvme", _SCRIPT_38, ("--showlogs",))}
_ERASE = ("--erase-all", "--showlogs")
_NANO_39 = Way("jetson-orin-jp7", _NANO, "nvme", _SCRIPT_38, _ERASE)
_AGX_39 = Way("jetson-orin-jp7", _AGX, "emmc", _SCRIPT_38, _ERASE)
_ORIN_39 = {"orin-nano": _NANO_39, "orin-nx": _NANO_39, "agx-orin": _AGX_39}

MATRIX: dict[str, dict[str, Way]] = {
    "36.4.3": _ORIN_36,
    "36.4.4": _ORIN_36,
    "38.2.1": _THOR_38,
    "38.4": _THOR_38,
    "39.2.1": {**_ORIN_39, **_THOR_38},
}
"""Way by L4T release and board."""


def way(board: str, l4t: str) -> Way:
    """Raises FlashError for a pair that is not in the table, naming those that are."""
    if board not in BOARDS:
        raise FlashError(f"--board {board}: unknown; choose {', '.join(BOARDS)}")
    fitting = [release for release, ways in MATRIX.items() if board in ways]
    if l4t not in fitting:
        raise FlashError(
            f"--l4t {l4t}: not known to work with {board}; choose {', '.join(fitting)}"
        )
    return MATRIX[l4t][board]
