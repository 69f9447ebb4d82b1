"""Updates: who may bring what, and what a device runs afterwards."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.device import jetson
from deploy.device.release import ReleaseError, signature_path, statement_path
from deploy.device.seal import SealError
from deploy.device.slots import STARTS, SlotError
from deploy.device.update import self_test, update
from tests.deploy.device.conftest import Device
from tests.deploy.device.fake import make_key, make_package, make_version


def copy(device: Device, version: str, into: Path) -> Path:
    """The package with its statement and signature, to be spoilt."""
    package = device.packages / f"octoview_{version}_arm64.deb"
    for path in (package, statement_path(package), signature_path(package)):
        (into / path.name).write_bytes(path.read_bytes())
    return into / package.name


def test_a_signed_newer_package_runs_on_trial_and_is_kept(device: Device) -> None:
    slot = update(device.slots, device.packages / "octoview_1.1_arm64.deb")
    assert device.slots.current().name == "1.0"
    assert device.slots.choose() == slot
    device.slots.keep()
    assert device.slots.current() == slot
    assert device.slots.choose() == slot
    assert device.slots.on_trial() is None


def test_three_starts_without_health_bring_the_old_version_back(device: Device) -> None:
    update(device.slots, device.packages / "octoview_1.1_arm64.deb")
    names = [device.slots.choose().name for _ in range(STARTS + 2)]
    assert names == ["1.1"] * STARTS + ["1.0"] * 2
    assert "3 starts" in device.slots.refused()["1.1"]
    assert not (device.slots.folder / "1.1").exists()


def test_a_stop_on_request_is_no_failed_start(device: Device) -> None:
    update(device.slots, device.packages / "octoview_1.1_arm64.deb")
    for _ in range(2 * STARTS):
        assert device.slots.choose().name == "1.1"
        device.slots.uncount()


def test_too_little_disk_is_told_before_anything_is_unpacked(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package says that it takes 1 GiB."""
    package = device.packages / "octoview_1.1_arm64.deb"
    monkeypatch.setattr(jetson, "free_gib", lambda folder: 1.4)
    with pytest.raises(ReleaseError, match=r"needs 1\.5 GiB in .*, 1\.4 are free; remove old"):
        update(device.slots, package)
    assert list(device.slots.folder.iterdir()) == []
    monkeypatch.setattr(jetson, "free_gib", lambda folder: 1.6)
    update(device.slots, package)


def test_a_failed_self_test_changes_nothing(device: Device) -> None:
    with pytest.raises(SealError, match=r"1\.2: self-test failed: .*objects differ"):
        update(device.slots, device.packages / "octoview_1.2_arm64.deb")
    assert device.slots.choose().name == "1.0"


def test_the_self_test_runs_on_what_its_reference_was_made_with(
    device: Device, tmp_path: Path
) -> None:
    """Left to choose, it would take TensorRT where there is one, and build an engine first."""
    slot = make_version(device.slots.folder, "3.0")
    (slot / "bin/octoview").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/seen\n')
    self_test(device.slots, slot)
    assert (tmp_path / "seen").read_text().startswith("self-test --engine onnxruntime --json ")


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("0.9", "0.9 is not newer than 1.0, which runs; --allow-downgrade"),
        ("1.3", r"not signed by a key that this version trusts \(release\)"),
        ("1.4", "is for jetson-thor-jp7, this device is jetson-orin-jp6"),
    ],
)
def test_what_may_not_be_installed_is_refused_before_it_is_unpacked(
    device: Device, version: str, says: str
) -> None:
    with pytest.raises(ReleaseError, match=says):
        update(device.slots, device.packages / f"octoview_{version}_arm64.deb")
    assert list(device.slots.folder.iterdir()) == []
    assert device.slots.choose().name == "1.0"


def test_a_downgrade_asked_for_is_done(device: Device) -> None:
    update(device.slots, device.packages / "octoview_0.9_arm64.deb", allow_downgrade=True)
    assert device.slots.choose().name == "0.9"


@pytest.mark.parametrize("part", [lambda p: p, statement_path, signature_path])
def test_one_changed_byte_anywhere_is_refused(
    device: Device, tmp_path: Path, part: Callable[[Path], Path]
) -> None:
    package = copy(device, "1.1", tmp_path)
    path = part(package)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ReleaseError, match=r"not signed|other bytes than were signed"):
        update(device.slots, package)
    assert device.slots.choose().name == "1.0"


def test_an_update_without_its_signature_names_what_is_missing(
    device: Device, tmp_path: Path
) -> None:
    package = copy(device, "1.1", tmp_path)
    signature_path(package).unlink()
    with pytest.raises(ReleaseError, match=r"release\.sig: no such file; an update is three"):
        update(device.slots, package)


def test_keys_rotate_with_the_versions_that_carry_them(device: Device, tmp_path: Path) -> None:
    key, public = make_key(tmp_path, "next")
    second = make_package(tmp_path, "2.1", key, (public,))
    with pytest.raises(ReleaseError, match="not signed"):
        update(device.slots, second)
    both = make_package(tmp_path, "2.0", device.key, (device.public, public))
    update(device.slots, both)
    device.slots.keep()
    update(device.slots, second)
    device.slots.keep()
    old = make_package(tmp_path, "2.2", device.key, (device.public,))
    with pytest.raises(ReleaseError, match=r"not signed by a key that this version trusts \(next"):
        update(device.slots, old)


def test_a_damaged_current_version_gives_way_to_the_one_before(device: Device) -> None:
    update(device.slots, device.packages / "octoview_1.1_arm64.deb")
    device.slots.keep()
    (device.slots.current() / "file1").unlink()
    assert device.slots.choose().name == "1.0"


def test_going_back_and_forth(device: Device) -> None:
    update(device.slots, device.packages / "octoview_1.1_arm64.deb")
    device.slots.keep()
    assert device.slots.go_back().name == "1.0"
    assert device.slots.choose().name == "1.0"
    assert device.slots.go_back().name == "1.1"


def test_nothing_complete_is_said_with_the_remedy(device: Device) -> None:
    (device.slots.factory / "1.0/MANIFEST").unlink()
    with pytest.raises(SlotError, match="apt-get install --reinstall octoview"):
        device.slots.choose()


def test_what_dpkg_replaces_is_kept_first(device: Device) -> None:
    device.slots.take_out_of_factory()
    (device.slots.factory / "1.0/MANIFEST").unlink()  # dpkg has begun
    assert device.slots.current() == device.slots.folder / "1.0"
    assert device.slots.choose() == device.slots.folder / "1.0"


def test_a_second_update_waits_for_the_first(device: Device) -> None:
    with device.slots.locked(), pytest.raises(SlotError, match="another update is under way"):
        update(device.slots, device.packages / "octoview_1.1_arm64.deb")
