"""Devices made of small real files: packages by dpkg-deb, keys by openssl."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.device.slots import Slots
from tests.deploy.device.fake import make_key, make_package, make_version


@dataclass(frozen=True)
class Device:
    """A device on which `1.0` runs, and packages for it."""

    slots: Slots
    packages: Path
    key: Path
    public: Path


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys and signed packages: 0.9, 1.1, 1.2 which fails its self-test, and foreign ones."""
    for tool in ("dpkg-deb", "dpkg", "openssl"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} here: packages for devices are made on Debian or Ubuntu")
    folder = tmp_path_factory.mktemp("workshop")
    key, public = make_key(folder, "release")
    make_key(folder, "foreign")
    for version in ("0.9", "1.1"):
        make_package(folder, version, key, (public,))
    make_package(folder, "1.2", key, (public,), good=False)
    make_package(folder, "1.3", folder / "foreign.key", (public,))
    make_package(folder, "1.4", key, (public,), target="jetson-thor-jp7")
    return folder


@pytest.fixture
def device(tmp_path: Path, workshop: Path) -> Device:
    slots = Slots(tmp_path / "state", tmp_path / "factory")
    (slots.state / "health").mkdir(parents=True)
    public = workshop / "release.pem"
    slots.begin_trial(make_version(slots.factory, "1.0", (public,)))
    return Device(slots, workshop, workshop / "release.key", public)
