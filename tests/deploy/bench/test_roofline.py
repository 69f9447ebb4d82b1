"""The estimate for Orin: by hand, and by the command on the shipped networks."""

import json
from pathlib import Path

import pytest

from deploy.bench.roofline import DEVICES, Device, estimate
from deploy.loop.engine import shipped_model
from perception.cost import Cost, cost_of_onnx
from perception.spec import PRESETS
from tests.deploy.command_line import command_line

DEVICE = Device("one", {"fp32": 1.0, "fp16": 2.0, "int8": 4.0}, 100.0, "made up")
COST = Cost(1, {"large": 10**9, "small": 2 * 10**8}, {"large": 4 * 10**7, "small": 10**7})


def test_by_hand() -> None:
    # 4 x 1.0 + 4 x 0.2 GMAC are 9.6 G operations; 4 x 40 + 4 x 10 MB are 200 MB.
    tick = {"large": 4, "small": 4}
    single = estimate(COST, tick, DEVICE, "fp32")
    assert single.arithmetic == pytest.approx(9.6e-3) and single.memory == pytest.approx(2e-3)
    assert single.floor == single.arithmetic
    half = estimate(COST, tick, DEVICE, "fp16")
    assert half.arithmetic == pytest.approx(4.8e-3) and half.memory == pytest.approx(1e-3)
    slow = Device("slow", DEVICE.tops, 1.0, "made up")
    assert estimate(COST, tick, slow, "fp16").floor == pytest.approx(0.1)
    # The bytes of a file that is quantised are counted as they are.
    assert estimate(COST, tick, DEVICE, "int8").memory == single.memory
    assert estimate(COST, {"large": 1}, DEVICE, "fp32").arithmetic == pytest.approx(2e-3)


def test_published_peaks_are_dense_and_named() -> None:
    for device in DEVICES:
        assert device.tops["int8"] == 2 * device.tops["fp16"] > device.tops["fp32"]
        assert "NVIDIA" in device.source and "dense" in device.source


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    octoview = command_line(monkeypatch, capsys, "bench", "roofline")
    model = shipped_model()
    quantised = model.with_name("nano.int8.onnx")
    done = octoview(model, quantised, "--json", tmp_path / "r.json")
    assert done.code == 0, done.err
    assert "an estimate" in done.out and DEVICES[0].source in done.out
    rows = json.loads((tmp_path / "r.json").read_text())["estimates"]
    assert [row["precision"] for row in rows] == [*["fp32"] * 2, *["fp16"] * 2, *["int8"] * 2]
    cost = cost_of_onnx(model, PRESETS["nano"])
    expected = estimate(cost, {"large": 4, "small": 4}, DEVICES[0], "fp32").floor
    assert rows[0]["floor_seconds"] == expected > rows[2]["floor_seconds"]
    assert rows[2]["floor_seconds"] > rows[4]["floor_seconds"]
    assert octoview(tmp_path / "gone.onnx").code == 2
