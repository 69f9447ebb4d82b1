"""Flash a Jetson: check everything, then add to the root file system, then call NVIDIA's script."""

import os
import re
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.flash.bsp import check_bsp
from deploy.flash.matrix import BOARDS, FlashError, Way, way
from deploy.flash.overlay import Added, apply, lock_password, overlay
from deploy.flash.recovery import check_recovery
from deploy.package.deb import read_control


@dataclass(frozen=True)
class Order:
    """What the user asked for. `accept_license`: NVIDIA's, which only a person can accept."""

    board: str
    l4t: str
    bsp: Path
    archive: Path
    sha256: str
    package: Path
    more_packages: tuple[Path, ...]
    hostname: str
    user: str
    ssh_key: Path
    accept_license: bool
    massflash: int | None = None


@dataclass(frozen=True)
class Plan:
    """Every command that will run, in order, in the folder of the tree, and every file added.

    `make_user` lacks the password, which is random and forgotten.
    """

    order: Order
    storage: str
    module: str | None
    make_user: list[str]
    files: list[Added]
    flash: list[str]


def plan(order: Order, need_device: bool = True) -> Plan:
    """Check the order against the world; nothing is changed.

    Raises FlashError, naming what is wrong and how to go on.
    """
    chosen = way(order.board, order.l4t)
    for name, word in (("hostname", order.hostname), ("user", order.user)):
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,31}", word):
            raise FlashError(f"--{name} {word}: small letters, digits and -, please")
    if order.user == "root":
        raise FlashError("--user root: choose another name; root has no login")
    if not order.accept_license:
        raise FlashError(
            "NVIDIA's licence is in Linux_for_Tegra/bootloader/LICENSE and rootfs; read it and say "
            "--accept-nvidia-license"
        )
    _check_package(order, chosen)
    files = overlay(order.package, list(order.more_packages), order.user, order.ssh_key)
    check_bsp(order.bsp, order.archive, order.sha256, chosen, order.l4t)
    module = check_recovery(BOARDS[order.board]) if need_device else None
    make_user = [
        *("tools/l4t_create_default_user.sh", "--username", order.user),
        *("--hostname", order.hostname, "--accept-license", "--password"),
    ]
    mass = ("--no-flash", "--massflash", str(order.massflash)) if order.massflash else ()
    flash = [f"./{chosen.script}", *mass, *chosen.options, chosen.config, "internal"]
    return Plan(order, chosen.storage, module, make_user, files, flash)


def carry_out(todo: Plan) -> None:
    """Do what the plan says. Raises FlashError when one of NVIDIA's scripts fails."""
    if os.geteuid() != 0:
        raise FlashError("NVIDIA's tools need root; run the same command with sudo")
    rootfs = todo.order.bsp / "rootfs"
    _run([*todo.make_user, secrets.token_urlsafe(24)], todo.order.bsp)
    lock_password(rootfs, todo.order.user)
    apply(todo.files, rootfs)
    _run(todo.flash, todo.order.bsp)


def _check_package(order: Order, chosen: Way) -> None:
    for path in (order.package, *order.more_packages):
        read_control(path)
    control = read_control(order.package)
    target = control.get("Octoview-Target", "nothing known")
    if control.get("Package") != "octoview" or target != chosen.target:
        raise FlashError(
            f"{order.package}: is for {target}; {order.board} with L4T {order.l4t} needs one for "
            f"{chosen.target}: octoview package --target {chosen.target}"
        )


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, check=False)
    if done.returncode:
        raise FlashError(
            f"{command[0]} ended with {done.returncode}; its messages are above, its log in "
            f"{folder}/initrdlog"
        )
