"""`octoview flash`: NVIDIA's tools, driven so that the result can be trusted."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.main_command import with_main
from deploy.flash.flash import Order, Plan, carry_out, plan
from deploy.flash.matrix import BOARDS, MATRIX
from deploy.flash.verify import verify as compare

app = typer.Typer(cls=with_main("device"), help="Flash a Jetson, or verify one.")


@app.command("device")
def device(
    board: Annotated[str, typer.Option(help=", ".join(BOARDS))],
    l4t: Annotated[str, typer.Option(help=f"Release: {', '.join(MATRIX)}.")],
    bsp: Annotated[Path, typer.Option(help="Linux_for_Tegra, prepared as NVIDIA says.")],
    archive: Annotated[Path, typer.Option(help="Jetson_Linux_R….tbz2 it came from.")],
    sha256: Annotated[str, typer.Option(help="Of the archive, from NVIDIA's download page.")],
    package: Annotated[Path, typer.Option(help="The .deb of octoview package.")],
    user: Annotated[str, typer.Option(help="Account on the device; it has no password.")],
    ssh_key: Annotated[Path, typer.Option(help="Public key that lets this account in.")],
    hostname: Annotated[str, typer.Option(help="Name of the device.")] = "octoview",
    more: Annotated[
        list[Path] | None, typer.Option(help="A .deb of JetPack to bring along; repeatable.")
    ] = None,
    accept_nvidia_license: Annotated[
        bool, typer.Option("--accept-nvidia-license", help="You have read and accept it.")
    ] = False,
    massflash: Annotated[
        int | None, typer.Option(min=1, help="Make a package that flashes so many at a time.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print every command and file; change nothing.")
    ] = False,
) -> None:
    """Check board, release, tree and package, add the package to NVIDIA's root file system, and
    call NVIDIA's l4t_initrd_flash.sh. Everything on the device's storage is lost. `octoview flash
    verify` asks a device for its report afterwards.

    Example: octoview flash --board orin-nano --l4t 36.4.4 --bsp Linux_for_Tegra --archive
    Jetson_Linux_R36.4.4_aarch64.tbz2 --sha256 HEX --package octoview_0.2.0_arm64.deb --user anna
    --ssh-key ~/.ssh/id_ed25519.pub --accept-nvidia-license --dry-run
    """
    order = Order(
        *(board, l4t, bsp, archive, sha256, package, tuple(more or ()), hostname, user, ssh_key),
        *(accept_nvidia_license, massflash),
    )
    todo = plan(order, need_device=not dry_run)
    _show(todo, dry_run)
    if not dry_run:
        carry_out(todo)
        print(f"done; then: octoview flash verify ssh://{user}@{hostname} --package {package}")


@app.command("verify")
def verify(
    address: Annotated[str, typer.Argument(help="ssh://user@host")],
    package: Annotated[Path, typer.Option(help="The .deb that was flashed.")],
    json_file: JsonFile = None,
) -> None:
    """Ask a device for its report and compare it with what was packaged; exit 1 if they differ.

    Example: octoview flash verify ssh://anna@octoview --package octoview_0.2.0_arm64.deb
    """
    differences, report = compare(address, package)
    write_json(json_file, {"differences": differences, "report": report})
    for difference in differences:
        print(difference)
    if differences:
        raise typer.Exit(1)
    version, jetson = report["running"]["version"], report["jetson"]
    print(f"{version} runs on {jetson['model']}, L4T {jetson['l4t']}, as packaged")
    print(f"engine: {report['engine']['state']}")


def _show(todo: Plan, dry_run: bool) -> None:
    print(f"in {todo.order.bsp}{', nothing of this is done now' if dry_run else ''}:")
    print(f"run  {shlex.join(todo.make_user)} <random, forgotten>")
    print(f"lock the password of {todo.order.user}")
    for added in todo.files:
        what = (
            f" -> {added.link}" if added.link else f" (from {added.source})" if added.source else ""
        )
        owner = added.user or "root"
        print(f"add  rootfs/{added.path} {added.mode:04o} {owner}{what}")
    print(f"run  {shlex.join(todo.flash)}")
    print(f"root file system on {todo.storage}; all that is there is lost")
    print(f"device in recovery mode: {todo.module or 'not looked for'}")
