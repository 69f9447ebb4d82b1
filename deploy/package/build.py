"""`octoview package`: from a checkout, wheels and a model to a .deb, byte for byte the same."""

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import format_datetime
from pathlib import Path

from calib.rig import load_rig
from calib.yaml_file import YamlError, load_yaml
from deploy.device.release import sha256, sign
from deploy.log.reader import LogReader
from deploy.package import native, tree
from deploy.package.deb import make_deb
from deploy.package.sbom import licences, sbom
from deploy.package.targets import PackageError, Target
from deploy.package.wheels import read_lock, unpack

CARRIERS = Path(__file__).parent / "carriers"
MAINTAINER = "OctoView <octoview@localhost>"


@dataclass(frozen=True)
class Inputs:
    """All that decides a package's bytes, beside the checkout itself.

    lock, wheels: the Python packages. rig: name of a built-in rig or a YAML file; cameras: the
    mapping of devices to its cameras. keys: public keys (PEM) that may sign what follows.
    clip, reference: logs of the self-test. headers, cuda_runtime: see native.build.
    """

    target: Target
    version: str
    epoch: int
    wheels: Path
    lock: Path
    rig: str
    cameras: Path
    reference: Path
    clip: Path = native.ROOT / "deploy/samples/hw2.mcap"
    keys: tuple[Path, ...] = field(default=())
    headers: Path | None = None
    cuda_runtime: Path | None = None


@dataclass(frozen=True)
class Package:
    """A package that was built. `manifest` is the SHA-256 that stands for the version's files."""

    path: Path
    sha256: str
    manifest: str
    kernels: native.Kernels


def build(inputs: Inputs, out: Path, key: Path | None = None) -> Package:
    """Build the package into the folder `out`; with a private `key`, sign it too.

    Raises PackageError, CalibError for a rig that is none, ReleaseError for a bad key.
    """
    target = inputs.target
    if not re.fullmatch(r"[0-9][A-Za-z0-9.+~]*", inputs.version):
        raise PackageError(f"--version {inputs.version}: is no Debian version such as 0.2.0")
    for path in (inputs.reference, inputs.clip, *inputs.keys):
        if not path.is_file():
            raise PackageError(f"{path}: no such file; check the path")
    rig_file = _rig_file(inputs.rig)
    check_mapping(inputs.cameras, inputs.rig)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="octoview-package-") as folder:
        root, work = Path(folder) / "root", Path(folder) / "work"
        slot = root / "opt/octoview" / inputs.version
        packages = tree.site(slot, target)
        packages.mkdir(parents=True)
        work.mkdir()
        unpack(target, inputs.lock, inputs.wheels, packages)
        (packages / "deploy/native").mkdir(parents=True)
        kernels = native.build(
            target, inputs.headers, inputs.cuda_runtime, work, packages / "deploy/native"
        )
        locked = read_lock(inputs.lock)
        bill = sbom(packages, locked, inputs.version, inputs.epoch)
        tree.lay_out_documents(root, slot, licences(packages), bill)
        day = format_datetime(datetime.fromtimestamp(inputs.epoch, timezone.utc))
        tree.lay_out_changelog(
            root, f"octoview ({inputs.version}) unstable; urgency=medium\n\n"
            f"  * Built for {target.name}.\n\n -- {MAINTAINER}  {day}\n",
        )  # fmt: skip
        manifest = tree.lay_out_version(
            slot,
            target,
            inputs.version,
            keys=inputs.keys,
            clip=inputs.clip,
            reference=inputs.reference,
            facts={
                "python": target.python,
                "depends": list(target.all_depends),
                "kernels": list(kernels.built),
                "kernels_missing": kernels.missing,
                "epoch": inputs.epoch,
            },
        )
        tree.lay_out_system(root, inputs.version, rig_file, inputs.cameras)
        tree.lay_out_stand_in(root, LogReader(inputs.clip).images())
        path = out / f"octoview_{inputs.version}_{target.architecture}.deb"
        make_deb(root, _control(inputs, manifest), path, inputs.epoch)
    if key is not None:
        sign(path, inputs.version, target.name, key)
    return Package(path, sha256(path), manifest, kernels)


def default_epoch() -> int:
    """SOURCE_DATE_EPOCH, else the time of the checkout's last commit, in seconds.

    Raises PackageError without either.
    """
    if told := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(told)
    command = ["git", "-C", str(native.ROOT), "log", "-1", "--format=%ct"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackageError("no git history here; set SOURCE_DATE_EPOCH to a time in seconds")
    return int(done.stdout)


def default_version() -> str:
    """That of pyproject.toml."""
    text = (native.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "([^"]+)"', text, re.MULTILINE)
    assert found
    return found[1]


def check_mapping(cameras: Path, rig_name: str) -> None:
    """Raises PackageError unless the mapping names each camera of the rig, and no other."""
    rig = load_rig(rig_name)
    try:
        content = load_yaml(cameras)
        named = {name: dict(entry) for name, entry in content["cameras"].items()}
    except (OSError, YamlError, LookupError, AttributeError, TypeError, ValueError) as error:
        raise PackageError(
            f"{cameras}: no mapping of cameras; start from one in {CARRIERS}"
        ) from error
    missing, unknown = set(rig.names) - set(named), set(named) - set(rig.names)
    for names, word in ((missing, "has no"), (unknown, "names other cameras than the rig:")):
        if names:
            raise PackageError(
                f"{cameras}: {word} {', '.join(sorted(names))}; the rig {rig.name} has "
                f"{', '.join(rig.names)}"
            )
    live = [str(entry.get(kind)) for entry in named.values() for kind in ("v4l2", "gstreamer")]
    devices = [device for device in live if device != "None"]
    twice = sorted({device for device in devices if devices.count(device) > 1})
    if twice:
        raise PackageError(f"{cameras}: {twice[0]} is given to two cameras; correct one")


def _rig_file(rig: str) -> Path:
    built_in = native.ROOT / "calib/rigs" / f"{rig}.yaml"
    return built_in if built_in.is_file() else Path(rig)


def _control(inputs: Inputs, manifest: str) -> dict[str, str]:
    target = inputs.target
    return {
        "Package": "octoview",
        "Version": inputs.version,
        "Architecture": target.architecture,
        "Maintainer": MAINTAINER,
        "Section": "science",
        "Priority": "optional",
        "Depends": ", ".join(sorted(target.all_depends)),
        "Recommends": "gstreamer1.0-tools, gstreamer1.0-plugins-good",  # for CSI cameras
        "Octoview-Target": target.name,
        "Octoview-Manifest": manifest,
        "Description": "Eight cameras in, one map of the road out\n"
        " Embedded driving perception: drivable area and objects of all cameras of a\n"
        " vehicle, put together in one bird's-eye map in metres. This is the runtime\n"
        f" for {target.name}, with the network nano and a service.",
    }
