"""`octoview calibrate check` on pictures: of the synthetic sample log, and of six real cameras."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from calib.check.finding import Level
from calib.check.judge import judge
from calib.rig import Camera, Rig, load_rig, save_rig
from deploy.check.evidence import LogEvidence, log_evidence
from deploy.check.moments import find_moments
from deploy.importers.dgp import import_dgp
from deploy.log.reader import LogReader
from tests.calib.check import scenes
from tests.deploy.command_line import Octoview, command_line

SAMPLE = Path("deploy/samples/hw2.mcap")


@pytest.fixture
def octoview(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Octoview:
    return command_line(monkeypatch, capsys, "calibrate", "check")


def seen(log: Path, moments: int) -> tuple[list[Camera], LogEvidence]:
    reader = LogReader(log)
    rig = reader.rig
    return list(rig), log_evidence(
        find_moments(reader, rig, moments, 20), rig, lambda done, total: None
    )


@pytest.fixture(scope="module")
def sample() -> tuple[list[Camera], LogEvidence]:
    return seen(SAMPLE, 1)


@pytest.fixture(scope="module")
def real(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = tmp_path_factory.mktemp("dgp") / "real.mcap"
    import_dgp(shared_data / "dgp_scene", log, lambda done, total: None)
    return log


def wrong(given: list[Camera], found: LogEvidence) -> dict[str, str]:
    """What is said first of each camera that is not good."""
    verdict = judge(found.evidence, given, found.image_sizes)
    return {
        name: one.findings[0].text
        for name, one in verdict.cameras.items()
        if one.level > Level.NOTE
    }


def changed(given: list[Camera], name: str, change: Callable[[Camera], Camera]) -> list[Camera]:
    return [change(camera) if camera.name == name else camera for camera in given]


FAULTS: list[tuple[str, Callable[[Camera], Camera], str]] = [
    ("left_pillar", lambda c: scenes.yawed(c, 2), "its yaw is off by +"),
    ("wide", scenes.of_other_model, "its lens is a fisheye, given as a pinhole"),
    ("right_repeater", scenes.inverted, "its transform is in the wrong direction"),
    ("right_pillar", lambda c: scenes.degrees_for_radians(c, -60, -5, 0), "read as radians"),
]


def test_the_sample_is_right(sample: tuple[list[Camera], LogEvidence]) -> None:
    assert wrong(*sample) == {}


@pytest.mark.parametrize(("name", "change", "said"), FAULTS)
def test_mistakes_show_in_the_sample(
    sample: tuple[list[Camera], LogEvidence],
    name: str,
    change: Callable[[Camera], Camera],
    said: str,
) -> None:
    given, found = sample
    findings = wrong(changed(given, name, change), found)
    assert list(findings) == [name] and said in findings[name]


def test_swapped_cameras_show_in_the_sample(sample: tuple[list[Camera], LogEvidence]) -> None:
    given, found = sample
    findings = wrong(scenes.swapped(given, "main", "narrow"), found)
    assert findings == {
        "main": "swapped with narrow: its pictures fit the other's calibration",
        "narrow": "swapped with main: its pictures fit the other's calibration",
    }


def test_a_real_scene(real: Path) -> None:
    """Real calibration, three instants; no pose of the vehicle in the log."""
    given, found = seen(real, 3)
    assert wrong(given, found) == {}
    for name, change, said in (
        ("CAMERA_05", lambda c: scenes.yawed(c, -2), "its yaw is off by -"),
        ("CAMERA_01", lambda c: scenes.of_size(c, 0.5), "images 0.5 times the size"),
    ):
        findings = wrong(changed(given, name, change), found)
        assert list(findings) == [name] and said in findings[name]
    assert set(wrong(scenes.swapped(given, "CAMERA_05", "CAMERA_06"), found)) == {
        "CAMERA_05",
        "CAMERA_06",
    }


def test_verdict_figures_and_page(octoview: Octoview, tmp_path: Path) -> None:
    rig = load_rig("hw2")
    given = scenes.swapped(list(rig), "left_pillar", "right_pillar")
    save_rig(Rig("mine", tuple(given)), tmp_path / "mine.yaml")
    page, figures = tmp_path / "page.html", tmp_path / "j"
    done = octoview(
        *(SAMPLE, "--rig", tmp_path / "mine.yaml", "--moments", 1),
        *("--report", page, "--json", figures),
    )
    assert done.code == 1, done.err
    assert "bad: left_pillar: swapped with right_pillar" in done.out
    assert done.out.splitlines()[-2:] == ["verdict: bad", f"wrote {page}"]
    content = json.loads(figures.read_text())
    assert content["verdict"] == "bad" and set(content["cameras"]) == set(rig.names)
    verdicts = {name: one["verdict"] for name, one in content["cameras"].items()}
    assert {name for name, one in verdicts.items() if one != "good"} == {
        "left_pillar",
        "right_pillar",
    }
    assert content["cameras"]["main"]["partners"]["narrow"] > 50
    assert abs(content["cameras"]["main"]["off_deg"]["yaw"]) < 0.6
    assert content["cameras"]["left_pillar"]["off_deg"]["yaw"] is None
    text = page.read_text()
    shown = re.findall(r'<img alt="(.*?)" src="data:image/webp;base64,', text)
    assert shown[: len(rig)] == list(rig.names)
    assert "wide and left_pillar" in shown and "left_pillar and rear" not in shown


def test_a_right_rig_ends_with_zero(octoview: Octoview, tmp_path: Path) -> None:
    pair = Rig("pair", tuple(load_rig("hw2")[name] for name in ("main", "wide")))
    save_rig(pair, tmp_path / "pair.yaml")
    done = octoview(SAMPLE, "--rig", tmp_path / "pair.yaml", "--moments", 1)
    assert done.code == 0, done.out
    assert done.out.endswith("verdict: good\n")


def test_a_camera_without_pictures_is_never_good(octoview: Octoview, tmp_path: Path) -> None:
    hw2 = load_rig("hw2")
    roof = replace(hw2["main"], name="roof")
    save_rig(Rig("pair", (hw2["main"], hw2["wide"], roof)), tmp_path / "pair.yaml")
    done = octoview(SAMPLE, "--rig", tmp_path / "pair.yaml", "--moments", 1)
    assert done.code == 1
    assert "doubtful: roof: not verified: the log has no pictures of it" in done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none.mcap",), "none.mcap: no such log"),
        ((SAMPLE, "--rig", "none.yaml"), "none.yaml: no such file"),
        ((SAMPLE, "--report", "page.pdf"), "is no .html file"),
        ((SAMPLE, "--moments", "0"), "greater than or equal to 1"),
    ],
)
def test_bad_usage_is_two(octoview: Octoview, arguments: tuple[object, ...], said: str) -> None:
    done = octoview(*arguments)
    assert done.code == 2 and said in done.err and "Traceback" not in done.err


def test_a_log_without_the_rigs_cameras(octoview: Octoview, tmp_path: Path) -> None:
    other = Rig("other", (replace(load_rig("hw2")["main"], name="roof"),))
    save_rig(other, tmp_path / "other.yaml")
    done = octoview(SAMPLE, "--rig", tmp_path / "other.yaml")
    assert done.code == 2 and "has no image of roof" in done.err and done.err.count("\n") == 1
