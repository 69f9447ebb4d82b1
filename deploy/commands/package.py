"""`octoview package`: a Debian package for a device."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.json_file import JsonFile, write_json
from deploy.loop.engine import shipped_model
from deploy.package.build import CARRIERS, Inputs, build, default_epoch, default_version
from deploy.package.targets import TARGETS, PackageError
from deploy.package.wheels import write_lock
from deploy.self_test import write_reference


def package(
    target: Annotated[str, typer.Option(help=f"One of {', '.join(TARGETS)}.")],
    wheels: Annotated[Path, typer.Option(help="Folder of the locked wheels.")],
    out: Annotated[Path, typer.Option(help="Folder for the package.")] = Path("out/package"),
    version: Annotated[str | None, typer.Option(help="pyproject's by default.")] = None,
    rig: Annotated[str, typer.Option(help="Built-in rig or rig file.")] = "hw2",
    cameras: Annotated[
        Path, typer.Option(help="Which device is which camera of the rig.")
    ] = CARRIERS / "stand-in.yaml",
    trust: Annotated[
        list[Path] | None, typer.Option(help="Public key that may sign updates; repeatable.")
    ] = None,
    sign: Annotated[Path | None, typer.Option(help="Private key to sign this one.")] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Reference of the self-test; made here by default.")
    ] = None,
    clip: Annotated[Path | None, typer.Option(help="Clip of the self-test.")] = None,
    python_headers: Annotated[
        Path | None, typer.Option(help="Headers of the device's Python, for native kernels.")
    ] = None,
    cuda_runtime: Annotated[
        Path | None, typer.Option(help="include/ and lib/ of its CUDA runtime, for CUDA kernels.")
    ] = None,
    lock: Annotated[
        bool, typer.Option("--write-lock", help="Write the lock from the wheels, and stop.")
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Build a .deb with the runtime, its Python packages, the network, service and licences.

    Equal inputs give equal bytes. What TensorRT and CUDA are, JetPack brings.

    Example: octoview package --target jetson-orin-jp6 --wheels wheels/jp6 --trust release.pem
    """
    if target not in TARGETS:
        raise PackageError(f"--target {target}: unknown; choose {', '.join(TARGETS)}")
    chosen = TARGETS[target]
    if lock:
        print(f"wrote {chosen.lock}: {write_lock(chosen, wheels)} wheels")
        return
    with tempfile.TemporaryDirectory(prefix="octoview-package-") as folder:
        inputs = Inputs(
            target=chosen,
            version=version or default_version(),
            epoch=default_epoch(),
            wheels=wheels,
            lock=chosen.lock,
            rig=rig,
            cameras=cameras,
            reference=reference or Path(folder) / "reference.mcap",
            keys=tuple(trust or ()),
            headers=python_headers,
            cuda_runtime=cuda_runtime,
            **({"clip": clip} if clip else {}),
        )
        if reference is None:
            write_reference(inputs.clip, shipped_model(), inputs.reference, "onnxruntime")
        done = build(inputs, out, sign)
    for name, reason in done.kernels.missing.items():
        print(f"no {name} kernels in it: {reason}")
    print(f"wrote {done.path} ({done.path.stat().st_size / 1e6:.0f} MB)")
    print(f"sha256 {done.sha256}")
    write_json(
        json_file,
        {
            "schema": "octoview.package/1",
            "file": done.path.name,
            "sha256": done.sha256,
            "manifest": done.manifest,
            "target": target,
            "version": inputs.version,
            "kernels": list(done.kernels.built),
            "kernels_missing": done.kernels.missing,
        },
    )
