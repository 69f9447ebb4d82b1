"""What is read from a Jetson's files, on a root that has them, and how it steers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.commands import doctor_jetson
from deploy.commands.doctor_jetson import jetson_lines
from deploy.device import durable, health, jetson
from deploy.device.backoff import (
    HEALTHY_S,
    LONGEST_S,
    failures_in_a_row,
    wait_after_failure,
)
from deploy.device.engines import EngineBuildError, build, options, read_status, ready
from deploy.device.power import set_power_mode
from deploy.device.seal import seal
from deploy.errors import DeployError
from deploy.package.build import CARRIERS
from tests.deploy.device.fake import make_version

RELEASE = "# R36 (release), REVISION: 4.4, GCID: 41062509, BOARD: generic, EABI: aarch64\n"
NVPMODEL = """\
< PARAM TYPE=FILE NAME=CPU_ONLINE >
< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=1 NAME=25W >
< POWER_MODEL ID=2 NAME=MAXN_SUPER >
< PM_CONFIG DEFAULT=1 >
"""


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The files of an Orin Nano that matter."""
    root = tmp_path / "root"
    write(
        root,
        {
            "etc/nv_tegra_release": RELEASE,
            "etc/nvpmodel.conf": NVPMODEL,
            "var/lib/nvpmodel/status": "pmode:0001 fmode:quiet\n",
            "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference\0",
            "usr/lib/aarch64-linux-gnu/libnvinfer.so.10.3.0": "",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "51250\n",
            "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
            "sys/class/thermal/thermal_zone1/temp": "87500\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1510400\n",
            "sys/class/devfreq/17000000.gpu/cur_freq": "918000000\n",
            "sys/class/video4linux/video0/name": "vi-output, imx219 9-0010\n",
        },
    )
    return root


def test_doctor_tells_board_release_power_heat_and_cameras(root: Path, tmp_path: Path) -> None:
    lines = {name: (state, detail) for _, name, state, detail in jetson_lines(root, tmp_path)}
    assert lines["L4T"] == ("ok", "36.4.4, JetPack 6.2.1")
    assert lines["board"][1] == "NVIDIA Jetson Orin Nano Engineering Reference"
    assert lines["TensorRT"] == ("ok", "libnvinfer.so.10.3.0")
    assert lines["power mode"][1] == "25W of 15W, 25W, MAXN_SUPER"
    assert lines["temperature"][1] == "88 °C gpu-thermal, throttling is near"
    assert lines["clocks"][1] == "cpu0 1510 MHz, 17000000.gpu 918 MHz"
    assert lines["cameras"][1] == "/dev/video0 vi-output, imx219 9-0010"
    (root / "usr/lib/aarch64-linux-gnu/libnvinfer.so.10.3.0").unlink()
    lines = {name: (state, detail) for _, name, state, detail in jetson_lines(root, tmp_path)}
    assert lines["TensorRT"][0] == "absent" and "ONNX Runtime" in lines["TensorRT"][1]


def test_doctor_says_nothing_of_a_jetson_where_there_is_none(tmp_path: Path) -> None:
    assert jetson_lines(tmp_path, tmp_path) == []


def test_doctor_tells_what_was_left_out_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = make_version(tmp_path, "1.0")
    monkeypatch.setattr(doctor_jetson.sys, "prefix", str(slot))
    monkeypatch.setattr(doctor_jetson, "CAMERAS", CARRIERS / "orin-nano-csi2.yaml")
    content = {"version": "1.0", "target": "desktop", "kernels_missing": {"cuda": "no nvcc here"}}
    (slot / "release.json").write_text(json.dumps(content))
    seal(slot)
    lines = {name: (state, detail) for _, name, state, detail in jetson_lines(tmp_path, tmp_path)}
    assert lines["version"] == ("ok", f"1.0 for desktop in {slot}")
    assert lines["cuda kernels"] == ("absent", "left out when packaged: no nvcc here")
    assert lines["engine"][0] == "absent"
    stand_in = "recordings stand in for narrow, wide, left_pillar, right_pillar, left_repeater, "
    assert lines["cameras.yaml"] == ("absent", f"{stand_in}right_repeater")
    (slot / "file0").unlink()
    lines = {name: (state, detail) for _, name, state, detail in jetson_lines(tmp_path, tmp_path)}
    assert lines["version"][0] == "failed"


@pytest.mark.parametrize(
    ("line", "release"),
    [
        (RELEASE, "36.4.4"),
        ("# R38 (release), REVISION: 4.0, GCID: 1\n", "38.4"),
        ("# R39 (release), REVISION: 2.1, GCID: 1\n", "39.2.1"),
        ("nothing", None),
    ],
)
def test_l4t_release(tmp_path: Path, line: str, release: str | None) -> None:
    write(tmp_path, {"etc/nv_tegra_release": line})
    assert jetson.l4t(tmp_path) == release


def fake_nvpmodel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    seen = tmp_path / "seen"
    program = tmp_path / "programs/nvpmodel"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" > {seen}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return seen


def test_power_mode_is_set_by_name(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = fake_nvpmodel(tmp_path, monkeypatch)
    assert set_power_mode("preferred", root) == "MAXN_SUPER"
    assert seen.read_text() == "-m 2\n"
    seen.unlink()
    assert set_power_mode("25W", root) == "25W, as it was"
    assert set_power_mode("keep", root) == "kept"
    assert not seen.exists()
    with pytest.raises(DeployError, match="50W: no such power mode here; choose keep, 15W"):
        set_power_mode("50W", root)


def exporter(tmp_path: Path, verdict: str) -> Path:
    """A version whose `export` writes an engine, or does what `verdict` says."""
    slot = make_version(tmp_path / "slots", "1.0")
    (slot / "models").mkdir()
    (slot / "models/nano.onnx").write_bytes(b"network")
    (slot / "bin/octoview").write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n'
        'while [ "$1" != --out ]; do shift; done\n'
        f'echo half > "$2"; {verdict}; echo engine > "$2"\n'
    )
    return slot


def test_engine_is_built_once_and_again_for_another_tensorrt(root: Path, tmp_path: Path) -> None:
    slot, folder = exporter(tmp_path, ":"), tmp_path / "engines"
    # TensorRT is there, and the loop is told not to choose it: it would build, and cameras wait.
    assert options(slot, folder, root=root) == "--engine onnxruntime"
    assert build(slot, folder, root)
    assert (folder / "nano.engine").read_text() == "engine\n"
    assert ready(slot, folder, root) == folder / "nano.engine"
    assert options(slot, folder, 4, root) == f"--model {folder}/nano.engine"
    assert options(slot, folder, 5, root) == "--engine onnxruntime"  # it may be to blame
    assert read_status(folder)["state"] == "ready"
    assert not build(slot, folder, root)
    library = root / "usr/lib/aarch64-linux-gnu/libnvinfer.so.10.3.0"
    library.rename(library.with_name("libnvinfer.so.10.4.0"))
    assert ready(slot, folder, root) is None
    assert build(slot, folder, root)
    assert len((tmp_path / "calls").read_text().splitlines()) == 2


def test_a_build_cut_off_leaves_no_engine_and_is_done_again(root: Path, tmp_path: Path) -> None:
    slot, folder = exporter(tmp_path, "kill -9 $PPID; sleep 0.1; exit 1"), tmp_path / "engines"
    program = (
        "import sys; from pathlib import Path; from deploy.device.engines import build;"
        "build(*map(Path, sys.argv[1:]))"
    )
    cut = subprocess.run(
        [sys.executable, "-c", program, str(slot), str(folder), str(root)],
        cwd=Path(__file__).resolve().parents[3],
    )
    assert cut.returncode == -9
    assert read_status(folder)["state"] == "building"
    assert not (folder / "nano.engine").exists()
    (slot / "bin/octoview").write_text('#!/bin/sh\nfor out; do :; done\necho engine > "$out"\n')
    assert build(slot, folder, root)


def test_an_engine_that_the_power_cut_emptied_is_built_again(root: Path, tmp_path: Path) -> None:
    slot, folder = exporter(tmp_path, ":"), tmp_path / "engines"
    build(slot, folder, root)
    (folder / "nano.engine").write_text("")
    assert read_status(folder)["state"] == "ready"
    assert ready(slot, folder, root) is None
    assert build(slot, folder, root)


def test_an_engine_is_told_ready_before_its_name_starts_the_loop_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot, folder = exporter(tmp_path, ":"), tmp_path / "engines"
    build(slot, folder, root)
    (slot / "models/nano.onnx").write_bytes(b"another network")
    (slot / "bin/octoview").write_text('#!/bin/sh\nfor out; do :; done\necho new > "$out"\n')
    real, seen = durable.rename, []

    def rename(source: Path, target: Path) -> None:
        if target.name == "nano.engine":
            seen.append((read_status(folder)["state"], ready(slot, folder, root)))
        real(source, target)

    monkeypatch.setattr(durable, "rename", rename)
    build(slot, folder, root)
    assert seen == [("ready", None)]  # and the old file is not taken for it
    assert ready(slot, folder, root) == folder / "nano.engine"


def test_no_tensorrt_and_a_failed_build_are_in_the_status(root: Path, tmp_path: Path) -> None:
    slot, folder = exporter(tmp_path, "exit 3"), tmp_path / "engines"
    with pytest.raises(EngineBuildError, match="export ended with 3"):
        build(slot, folder, root)
    assert read_status(folder)["state"] == "failed"
    with pytest.raises(EngineBuildError, match="no TensorRT here"):
        build(slot, folder, tmp_path)
    assert "no TensorRT here" in str(read_status(folder)["reason"])


def test_healthy_is_active_for_a_minute() -> None:
    text = "ActiveState=active\nActiveEnterTimestampMonotonic=1000000000\n"
    assert health.has_been_up(text, 1061.0)
    assert not health.has_been_up(text, 1059.0)
    assert not health.has_been_up(text.replace("=active", "=activating"), 2000.0)
    assert not health.has_been_up("ActiveState=active\nActiveEnterTimestampMonotonic=0\n", 2000.0)


def test_waits_grow_and_a_long_run_ends_the_row(tmp_path: Path) -> None:
    file = tmp_path / "failures"
    now, waits = 1000.0, []
    for _ in range(8):
        waits.append(wait_after_failure(file, now))
        now += waits[-1] + 1
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60] and max(waits) == LONGEST_S
    assert failures_in_a_row(file, now) == 8
    assert failures_in_a_row(file, now + HEALTHY_S + 100) == 0
    assert wait_after_failure(file, now + HEALTHY_S + 100) == 2
