"""The self-test with a stand-in network: equal passes, anything else fails, and it says what."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.log import channels
from deploy.log.diff import compare_logs
from deploy.log.reader import LogReader
from deploy.self_test import IGNORED, TOLERANCES, SelfTestError, self_test, write_reference
from tests.deploy.command_line import command_line
from tests.deploy.commands.test_replay_diff import Edit, edited, moved


@pytest.fixture
def reference(tmp_path: Path, log: Path, model: Path) -> Path:
    path = tmp_path / "reference.mcap"
    write_reference(log, model, path, "onnxruntime")
    return path


def test_the_same_clip_passes_with_latency_and_machine(
    log: Path, reference: Path, model: Path
) -> None:
    result = self_test(log, reference, model, "onnxruntime")
    assert result["passed"] and result["messages"] > 0
    assert result["latency_ms"]["tick"]["p50"] > 0
    assert set(result["before"]) == {"clocks_mhz", "celsius"}
    json.dumps(result, allow_nan=False)


def test_another_clip_fails_and_the_command_ends_with_1(
    reference: Path,
    ticks: list[dict[str, bytes]],
    make_log: Callable[..., Path],
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    swapped = [{**images, "main": images["narrow"], "narrow": images["main"]} for images in ticks]
    octoview = command_line(monkeypatch, capsys, "self-test")
    words = ("--reference", reference, "--model", model, "--engine", "onnxruntime")
    done = octoview("--clip", make_log(swapped), *words, "--json", tmp_path / "result.json")
    assert done.code == 1
    assert "self-test failed" in done.out
    assert not json.loads((tmp_path / "result.json").read_text())["passed"]


def in_the_last_bits(topic: str, content):
    """What an arm64 processor makes of the sums of an amd64 one, seen under emulation."""
    if topic.endswith("/annotations"):
        for outline in content.points[:1]:
            outline.points.add(x=1.0, y=1.0)
        for text in content.texts:
            text.position.x += 1e-4
            text.text += "9"
    elif topic == channels.OBJECTS:
        for entity in content.entities:
            entity.cubes[0].pose.position.x += 1e-4
            entity.texts[0].text = "car 12 m"
    return content


def without_one_object(topic: str, content):
    if topic.endswith("/annotations") and content.texts:
        del content.texts[-1]
    return content


@pytest.mark.parametrize(
    ("edit", "equal"), [(in_the_last_bits, True), (moved, False), (without_one_object, False)]
)
def test_another_processor_passes_and_another_answer_does_not(
    reference: Path, tmp_path: Path, edit: Edit, equal: bool
) -> None:
    log = LogReader(edited(reference, tmp_path / "edited.mcap", edit))
    assert not compare_logs(LogReader(reference), log).equal
    assert compare_logs(LogReader(reference), log, TOLERANCES, IGNORED).equal is equal


def test_a_missing_reference_is_told(log: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(SelfTestError, match="no such file; give --clip and --reference"):
        self_test(log, tmp_path / "none.mcap", model)
