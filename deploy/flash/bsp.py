"""NVIDIA's Linux_for_Tegra as the user prepared it: is it what it claims to be, and whole?"""

import hashlib
import re
import shutil
import tarfile
from pathlib import Path

from deploy.device.jetson import l4t as l4t_of
from deploy.device.release import sha256
from deploy.flash.matrix import FlashError, Way

FREE_GIB = 40
"""Images of a flash and the copy of the root file system that is made for them."""

STEERING = (".sh", ".py", ".conf", ".common", ".func", ".xml")
"""Files that decide what NVIDIA's tools do; they are compared with the archive."""


def check_bsp(bsp: Path, archive: Path, digest: str, way: Way, l4t: str) -> None:
    """`bsp` is a Linux_for_Tegra of release `l4t`, unpacked from `archive` and prepared.

    digest: SHA-256 of the archive, from NVIDIA's download page. Raises FlashError for whatever is
    missing or different.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise FlashError(f"--sha256 {digest}: is no SHA-256; take it from NVIDIA's download page")
    if not archive.is_file():
        raise FlashError(f"{archive}: no such archive; fetch Jetson Linux {l4t} from NVIDIA")
    for name in (way.script, f"{way.config}.conf", "tools/l4t_create_default_user.sh"):
        if not (bsp / name).is_file():
            raise FlashError(f"{bsp}: has no {name}; give the Linux_for_Tegra of {l4t}")
    found = l4t_of(bsp / "rootfs")
    if found is None:
        raise FlashError(
            f"{bsp}/rootfs: is not prepared; unpack NVIDIA's sample root file system there and "
            "run apply_binaries.sh (for Thor: apply_binaries.sh --openrm)"
        )
    if found != l4t:
        raise FlashError(f"{bsp}: is L4T {found}, not {l4t}; give the tree of --l4t")
    free = shutil.disk_usage(bsp).free / 2**30
    if free < FREE_GIB:
        raise FlashError(f"{bsp}: {free:.0f} GiB free, flashing needs {FREE_GIB}; make room")
    if sha256(archive) != digest:
        raise FlashError(f"{archive}: its SHA-256 is not --sha256; fetch it again from NVIDIA")
    _check_against(bsp, archive)


def _check_against(bsp: Path, archive: Path) -> None:
    """The tree's steering files have the archive's bytes."""
    checked = 0
    try:
        with tarfile.open(archive, "r|*") as tar:
            for member in tar:
                name = member.name.removeprefix("./").removeprefix("Linux_for_Tegra/")
                if not (member.isfile() and name.endswith(STEERING)):
                    continue
                if name.startswith(("rootfs/", "bootloader/")):
                    continue  # written by NVIDIA's tools while they work
                file = tar.extractfile(member)
                assert file is not None
                checked += 1
                expected = hashlib.sha256(file.read()).hexdigest()
                path = bsp / name
                if not path.is_file() or sha256(path) != expected:
                    raise FlashError(f"{path}: differs from {archive.name}; unpack it again")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise FlashError(f"{archive}: can't be read ({error}); fetch it again") from error
    if not checked:
        raise FlashError(f"{archive}: is no Linux_for_Tegra; give NVIDIA's Jetson_Linux_R….tbz2")
