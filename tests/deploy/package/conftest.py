"""Small wheels, their lock, and all else that a package is built from."""

import base64
import hashlib
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.package import native
from deploy.package.build import CARRIERS, Inputs
from deploy.package.targets import TARGETS
from deploy.package.wheels import write_lock
from tests.jetson.cut_clip import cut_clip

EPOCH = 1_700_000_000


def make_wheel(folder: Path, name: str, licence: str, tag: str = "py3-none-any") -> Path:
    """A wheel with one module, a script, a licence, and byte code as some bring along."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}/__init__.py": f'"""{name}"""\n',
        f"{name}/__pycache__/old.cpython-310.pyc": "byte code",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        f"Classifier: License :: OSI Approved :: {licence}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{info}/licenses/LICENSE": licence,
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    record = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record.append(f"{path},sha256={digest.decode()},{len(text)}")
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    wheel = folder / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return wheel


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inputs:
    """A package for an Orin of two small wheels, without native kernels."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg-deb here: packages are built on Debian or Ubuntu")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    make_wheel(wheels, "one", "MIT License")
    make_wheel(wheels, "two", "BSD License", "cp310-cp310-manylinux_2_28_aarch64")
    lock = tmp_path / "lock.txt"
    target = TARGETS["jetson-orin-jp6"]
    with monkeypatch.context() as patch:
        patch.setattr(type(target), "lock", lock)
        write_lock(target, wheels)
    clip = tmp_path / "clip.mcap"
    cut_clip(native.ROOT / "deploy/samples/hw2.mcap", 0.15, clip)
    return Inputs(
        target=target, version="0.2.0", epoch=EPOCH, wheels=wheels, lock=lock, rig="hw2",
        cameras=CARRIERS / "agx-gmsl8.yaml", reference=clip, clip=clip,
    )  # fmt: skip


def with_sources_of(inputs: Inputs, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Inputs:
    """The same inputs copied to another folder, as another person's checkout."""
    for name in ("wheels", "lock.txt", "clip.mcap"):
        source = inputs.lock.parent / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        folder.mkdir(exist_ok=True)
        copy(source, folder / name)
    for room in ("calib", "perception", "export", "deploy", "docs"):
        shutil.copytree(native.ROOT / room, folder / room)
    shutil.copy(native.ROOT / "LICENSE", folder)
    return replace(
        inputs,
        wheels=folder / "wheels",
        lock=folder / "lock.txt",
        reference=folder / "clip.mcap",
        clip=folder / "clip.mcap",
    )
