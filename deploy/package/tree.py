"""The files of a package: one version below /opt/octoview, and what surrounds it."""

import gzip
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy.device.seal import RELEASE, seal
from deploy.log.reader import EncodedImage
from deploy.package.native import ROOT
from deploy.package.targets import Target

STAND_IN_PICTURES = 20
ROOMS = ("calib", "perception", "export", "deploy")
_FILES = Path(__file__).parent / "files"
# The runtime needs no weights to train on, and no sources of what is built.
_LEFT_OUT = ("__pycache__", "*.safetensors", "*.so", "*.cpp", "*.h", "*.cu", "*.cmake")


def lay_out_version(
    slot: Path,
    target: Target,
    version: str,
    *,
    keys: tuple[Path, ...],
    clip: Path,
    reference: Path,
    facts: Mapping[str, object],
) -> str:
    """Complete `slot`, whose Python packages lie in `site(slot, target)` already, and seal it.

    keys: public keys that may sign what follows this version. clip, reference: logs of the
    self-test. facts: what else release.json tells. Returns the SHA-256 of the manifest.
    """
    packages = site(slot, target)
    for room in ROOMS:
        shutil.copytree(
            ROOT / room, packages / room, ignore=shutil.ignore_patterns(*_LEFT_OUT),
            dirs_exist_ok=True,
        )  # fmt: skip
    shutil.rmtree(packages / "deploy/package/files")  # the system's, not the program's
    info = packages / f"octoview-{version}.dist-info"
    info.mkdir()
    _write(info / "METADATA", f"Metadata-Version: 2.1\nName: octoview\nVersion: {version}\n")

    # A virtual environment is a folder with this file; it may stand anywhere.
    home = "home = /usr/bin\ninclude-system-site-packages = false\n"
    _write(slot / "pyvenv.cfg", f"{home}version = {target.python}\n")
    (slot / "bin").mkdir()
    (slot / "bin/python3").symlink_to(f"/usr/bin/python{target.python}")
    _copy(_FILES / "slot-octoview", slot / "bin/octoview", executable=True)
    if target.l4t:
        # The one module that JetPack brings, and nothing else of the system's Python.
        tensorrt = Path(f"/usr/lib/python{target.python}/dist-packages/tensorrt")
        (packages / "tensorrt").symlink_to(tensorrt)

    (slot / "models").mkdir()
    for model in sorted((packages / "perception/weights").glob("*.onnx")):
        inside = model.relative_to(slot)
        (slot / "models" / model.name).symlink_to(Path("..") / inside)
    for number, key in enumerate(keys):
        _copy(key, slot / "keys" / f"{number}-{key.stem}.pem")
    _copy(clip, slot / "self-test/clip.mcap")
    _copy(reference, slot / "self-test/reference.mcap")
    content = {"version": version, "target": target.name, **facts}
    _write(slot / RELEASE, json.dumps(content, indent=2) + "\n")
    return seal(slot)


def lay_out_system(tree: Path, version: str, rig: Path, cameras: Path) -> None:
    """Commands, units, rules and configuration around the version."""
    _copy(_FILES / "octoview", tree / "usr/bin/octoview", executable=True)
    _copy(_FILES / "octoview-device", tree / "usr/bin/octoview-device", executable=True)
    library = tree / "usr/lib/octoview/deploy"
    for path in (ROOT / "deploy/__init__.py", ROOT / "deploy/errors.py"):
        _copy(path, library / path.name)
    for path in sorted((ROOT / "deploy/device").glob("*.py")):
        _copy(path, library / "device" / path.name)

    units = sorted((_FILES / "systemd").iterdir())
    for unit in units:
        _copy(unit, tree / "lib/systemd/system" / unit.name)
    _copy(_FILES / "70-octoview.rules", tree / "lib/udev/rules.d/70-octoview.rules")
    configuration = tree / "etc/octoview"
    _copy(rig, configuration / "rig.yaml")
    _copy(cameras, configuration / "cameras.yaml")
    _copy(_FILES / "power-mode", configuration / "power-mode")
    for carrier in sorted((Path(__file__).parent / "carriers").glob("*.yaml")):
        _copy(carrier, tree / "usr/share/octoview/carriers" / carrier.name)

    enabled = [unit.name for unit in units if "[Install]" in unit.read_text(encoding="utf-8")]
    for script in ("postinst", "prerm", "postrm"):
        text = (_FILES / script).read_text(encoding="utf-8")
        text = text.replace("@VERSION@", version).replace("@UNITS@", " ".join(enabled))
        _write(tree / "DEBIAN" / script, text, executable=True)
    conffiles = sorted(f"/{p.relative_to(tree)}" for p in configuration.iterdir())
    _write(tree / "DEBIAN/conffiles", "\n".join(conffiles) + "\n")


def lay_out_stand_in(tree: Path, images: Iterable[EncodedImage]) -> None:
    """Pictures for cameras that are not there, in a folder for each: the clip's first ones."""
    count: Counter[str] = Counter()
    for image in images:
        if count[image.camera] < STAND_IN_PICTURES:
            name = f"{image.camera}/{count[image.camera]:03}.{image.format}"
            path = tree / "usr/share/octoview/stand-in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image.data)
            count[image.camera] += 1


def lay_out_documents(tree: Path, slot: Path, licences: str, bill: Mapping[str, object]) -> None:
    """Licences and bill of materials, for people in /usr/share/doc, and with the version."""
    _write(slot / "sbom.cdx.json", json.dumps(bill, indent=2) + "\n")
    _write(slot / "licences.txt", licences)
    folder = tree / "usr/share/doc/octoview"
    _write(
        folder / "copyright",
        "Copyright (C) 2026 the OctoView authors\n\nOctoView is under the Apache License 2.0, see "
        f"/usr/share/common-licenses/Apache-2.0.\n\nWhat it brings along:\n\n{licences}"
        "\nPaths are relative to the Python packages in /opt/octoview.\n",
    )
    _copy(ROOT / "docs/jetson.md", folder / "jetson.md")
    _copy(_FILES / "lintian-overrides", tree / "usr/share/lintian/overrides/octoview")


def lay_out_changelog(tree: Path, text: str) -> None:
    """Debian wants one, compressed; without a time in it, it is the same twice."""
    path = tree / "usr/share/doc/octoview/changelog.gz"
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    path.chmod(0o644)


def site(slot: Path, target: Target) -> Path:
    """The folder of a version's Python packages."""
    return slot / f"lib/python{target.python}/site-packages"


def _copy(source: Path, to: Path, executable: bool = False) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, to)
    to.chmod(0o755 if executable else 0o644)


def _write(path: Path, text: str, executable: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755 if executable else 0o644)
