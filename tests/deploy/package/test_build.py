"""The package itself: same bytes twice, what is in it, and what it refuses to be built from."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.device.release import verify
from deploy.device.seal import SealError, check_all
from deploy.package import native, tree
from deploy.package.build import CARRIERS, Inputs, build, check_mapping
from deploy.package.deb import read_control
from deploy.package.targets import TARGETS, PackageError
from deploy.package.wheels import read_lock
from tests.deploy.device.fake import make_key
from tests.deploy.package.conftest import with_sources_of

ROOT = Path(__file__).resolve().parents[3]


def unpacked(deb: Path, folder: Path) -> Path:
    subprocess.run(["dpkg-deb", "--extract", str(deb), str(folder)], check=True)
    return folder


def test_another_folder_time_and_order_give_the_same_bytes(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build(inputs, tmp_path / "out1")
    other = with_sources_of(inputs, tmp_path / "elsewhere", monkeypatch)
    for path in (tmp_path / "elsewhere").rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    monkeypatch.setattr(native, "ROOT", tmp_path / "elsewhere")
    monkeypatch.setattr(tree, "ROOT", tmp_path / "elsewhere")
    monkeypatch.setattr(tree, "_FILES", tmp_path / "elsewhere/deploy/package/files")
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    old = os.umask(0o077)
    try:
        second = build(other, tmp_path / "out2")
    finally:
        os.umask(old)
    assert second.path.read_bytes() == first.path.read_bytes()
    third = build(replace(inputs, epoch=inputs.epoch + 1), tmp_path / "out3")
    assert third.sha256 != first.sha256


def test_the_package_holds_the_runtime_and_says_what_it_is(inputs: Inputs, tmp_path: Path) -> None:
    key, public = make_key(tmp_path, "release")
    done = build(replace(inputs, keys=(public,)), tmp_path / "out", key)
    control = read_control(done.path)
    assert (control["Architecture"], control["Octoview-Target"]) == ("arm64", "jetson-orin-jp6")
    assert "python3 (<< 3.11)" in control["Depends"]
    assert "libnvinfer10" in control["Depends"]
    assert control["Octoview-Manifest"] == done.manifest

    root = unpacked(done.path, tmp_path / "root")
    slot = root / "opt/octoview/0.2.0"
    assert check_all(slot) == done.manifest
    site = slot / "lib/python3.10/site-packages"
    assert (site / "two/__init__.py").is_file()
    assert (site / "deploy/loop/pipeline.py").is_file()
    assert (slot / "models/nano.onnx").resolve() == (
        site / "perception/weights/nano.onnx"
    ).resolve()
    for left_out in ("*.safetensors", "libnvinfer*", "__pycache__"):
        assert not list(root.rglob(left_out)), left_out
    assert str((slot / "bin/python3").readlink()) == "/usr/bin/python3.10"
    assert [path.name for path in (slot / "keys").iterdir()] == ["0-release.pem"]
    release = json.loads((slot / "release.json").read_text())
    assert release["kernels"] == []
    assert "preprocess runs on OpenCV" in release["kernels_missing"]["cpu"]
    assert len(list((root / "usr/share/octoview/stand-in/rear").glob("*"))) == 2
    bill = json.loads((slot / "sbom.cdx.json").read_text())
    assert [c["purl"] for c in bill["components"]] == ["pkg:pypi/one@1.0", "pkg:pypi/two@1.0"]
    assert bill["components"][0]["hashes"][0]["content"] == read_lock(inputs.lock)["one"][1]
    assert "two 1.0: BSD License" in (slot / "licences.txt").read_text()
    assert verify(done.path, [public]).target == "jetson-orin-jp6"

    (slot / "models/nano.onnx").resolve().write_bytes(b"other weights")
    with pytest.raises(SealError, match="nano"):
        check_all(slot)


def test_the_devices_commands_run_on_the_systems_python_alone(
    inputs: Inputs, tmp_path: Path
) -> None:
    """`octoview-device` of the package, on its own library, with nothing else importable."""
    root = unpacked(build(inputs, tmp_path / "out").path, tmp_path / "root")
    program = (root / "usr/bin/octoview-device").read_text()
    python = shutil.which("python3", path="/usr/bin")
    if python is None:
        pytest.skip("no system Python here")
    script = tmp_path / "octoview-device"
    script.write_text(program.replace("/usr/lib/octoview", str(root / "usr/lib/octoview")))
    words = ["--state", str(tmp_path / "state"), "--factory", str(root / "opt/octoview")]
    done = subprocess.run(
        [python, "-I", "-S", str(script), *words, "report"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["running"]["version"] == "0.2.0"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda i: (i.wheels / "one-1.0-py3-none-any.whl").write_bytes(b"x"), "a wheel differs|"),
        (lambda i: (i.wheels / "one-1.0-py3-none-any.whl").unlink(), "one==1.0"),
        (lambda i: i.lock.unlink(), "no lock; make it with --write-lock"),
        (lambda i: i.clip.unlink(), "no such file"),
    ],
)
def test_other_or_missing_inputs_are_refused(
    inputs: Inputs, tmp_path: Path, change, says: str
) -> None:
    change(inputs)
    with pytest.raises(PackageError, match=says):
        build(inputs, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.deb"))


def test_a_wheel_of_another_machine_or_python_is_refused(inputs: Inputs, tmp_path: Path) -> None:
    thor = replace(inputs, target=TARGETS["jetson-thor-jp7"])
    with pytest.raises(PackageError, match=r"two==1\.0"):
        build(thor, tmp_path / "out")


def test_cuda_kernels_need_the_runtime_of_the_device(tmp_path: Path) -> None:
    thor = TARGETS["jetson-thor-jp7"]
    with pytest.raises(PackageError, match=r"has no lib/libcudart\.so\.13; give nvidia/cu13"):
        native._cuda(thor, tmp_path, tmp_path)


@pytest.mark.parametrize("carrier", sorted(CARRIERS.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_carrier_maps_every_camera_of_hw2(carrier: Path) -> None:
    check_mapping(carrier, "hw2")


def test_a_mapping_for_other_cameras_is_refused(tmp_path: Path) -> None:
    good = (CARRIERS / "agx-gmsl8.yaml").read_text()
    for old, new, says in (
        ("  rear: ", "  roof: ", "has no rear; the rig hw2 has main"),
        ("/dev/video7", "/dev/video6", "/dev/video6 is given to two cameras"),
        ("cameras:", "kameras:", "no mapping of cameras"),
    ):
        path = tmp_path / "cameras.yaml"
        path.write_text(good.replace(old, new))
        with pytest.raises(PackageError, match=says):
            check_mapping(path, "hw2")


def test_each_lock_names_the_same_releases_as_pyproject() -> None:
    text = (ROOT / "pyproject.toml").read_text().split("dependencies = [")[1].split("]")[0]
    pins = dict(line.strip(' ",').lower().split("==") for line in text.strip().splitlines())
    for target in TARGETS.values():
        locked = read_lock(target.lock)
        assert {name: locked[name.replace("_", "-")][0] for name in pins} == pins, target.name


def test_a_jetson_has_what_builds_and_runs_engines() -> None:
    text = (ROOT / "pyproject.toml").read_text().split("gpu = [")[1].split("]")[0]
    pins = dict(line.strip(' "').split("==") for line in text.split(","))
    assert set(pins) == {"cuda-bindings", "onnx"}
    for target in TARGETS.values():
        locked = read_lock(target.lock)
        found = {name: locked[name][0] for name in pins if name in locked}
        assert found == (pins if target.l4t else {}), target.name


def test_lintian_finds_no_error(inputs: Inputs, tmp_path: Path) -> None:
    lintian = shutil.which("lintian")
    if lintian is None:
        pytest.skip("no lintian here")
    deb = build(inputs, tmp_path / "out").path
    done = subprocess.run(
        [lintian, "--allow-root", "--fail-on", "error", str(deb)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
