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

    `script`: relative to Linux_for_Tegra. `options`: for its root file system on `storage`.
    `config` and `root`: the last two words of its command line. `target`: of the package.
    """

    jetpack: str
    target: str
    config: str
    storage: str
    script: str
    options: tuple[str, ...]
    root: str


_T234_NVME = (
    *("--external-device", "nvme0n1p1", "-c", "tools/kernel_flash/flash_l4t_t234_nvme.xml"),
)
_QSPI = ("-p", "-c bootloader/generic/cfg/flash_t234_qspi.xml")
_LOG = ("--showlogs", "--network", "usb0")
_SCRIPT_36 = "tools/kernel_flash/l4t_initrd_flash.sh"
_SCRIPT_38 = "l4t_initrd_flash.sh"


def _orin_36(jetpack: str) -> dict[str, Way]:
    target = "jetson-orin-jp6"
    nano = Way(
        *(jetpack, target, "jetson-orin-nano-devkit-super", "nvme", _SCRIPT_36),
        (*_T234_NVME, *_QSPI, *_LOG),
        "internal",
    )
    agx = Way(jetpack, target, "jetson-agx-orin-devkit", "emmc", _SCRIPT_36, _LOG, "internal")
    return {"orin-nano": nano, "orin-nx": nano, "agx-orin": agx}


def _thor(jetpack: str) -> Way:
    target, config = "jetson-thor-jp7", "jetson-agx-thor-devkit"
    return Way(jetpack, target, config, "nvme", _SCRIPT_38, ("--showlogs",), "internal")


_ORIN_39 = Way(
    *("7.2.1", "jetson-orin-jp7", "jetson-orin-nano-devkit-super", "nvme", _SCRIPT_38),
    ("--erase-all", "--showlogs"),
    "internal",
)
_AGX_39 = Way(
    *("7.2.1", "jetson-orin-jp7", "jetson-agx-orin-devkit", "emmc", _SCRIPT_38),
    ("--erase-all", "--showlogs"),
    "internal",
)

MATRIX: dict[str, dict[str, Way]] = {
    "36.4.3": _orin_36("6.2"),
    "36.4.4": _orin_36("6.2.1"),
    "38.2.1": {"thor": _thor("7.0")},
    "38.4": {"thor": _thor("7.1")},
    "39.2.1": {
        "orin-nano": _ORIN_39, "orin-nx": _ORIN_39, "agx-orin": _AGX_39, "thor": _thor("7.2.1"),
    },
}  # fmt: skip
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
