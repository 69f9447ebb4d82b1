"""`octoview calibrate homography` and `stitch`: figures out, one line for bad input."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from calib.pose import invert
from calib.rig import load_rig, save_rig
from tests.calib.surround.scenes import BODY, RIG, SIDE, cast
from tests.deploy.command_line import Octoview, command_line

OWN = f"--body={BODY.rear},{BODY.front},{BODY.width}"
KIT_GROUND = """
front: {pixel_m: 0.01, origin: [8, 6], columns: right, rows: back}
back: {pixel_m: 0.01, origin: [-8, -6], columns: left, rows: ahead}
left: {pixel_m: 0.01, origin: [-8, 6], columns: ahead, rows: right}
right: {pixel_m: 0.01, origin: [8, -6], columns: back, rows: left}
"""


@pytest.fixture
def octoview(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Octoview:
    return command_line(monkeypatch, capsys, "calibrate")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of four cameras, and their rig."""
    folder = tmp_path_factory.mktemp("surround")
    for camera in RIG:
        cv2.imwrite(str(folder / f"{camera.name}.png"), cast(camera))
    save_rig(RIG, folder / "car.yaml")
    return folder


def test_pictures_in_a_picture_and_seams_out(octoview: Octoview, folder: Path, tmp_path: Path):
    done = octoview(
        *("stitch", folder, "--rig", folder / "car.yaml", "--square", SIDE, OWN),
        *("--reach", 6, "--pixel", 0.02, "--out", tmp_path / "above.png"),
        *("--repose", tmp_path / "new.yaml", "--json", tmp_path / "j"),
    )
    assert done.code == 0, done.err
    figures = json.loads((tmp_path / "j").read_text())
    assert set(figures["seams"]["between"]) == {
        *("front-left", "front-right", "left-rear", "rear-right")
    }
    for part in ("seams", "reposed"):
        assert all(seam["median_m"] < 0.02 for seam in figures[part]["between"].values())
    image = cv2.imread(str(tmp_path / "above.png"))
    assert image is not None and image.shape == (600, 600, 3)
    assert np.ptp(image[300, 300]) < 20 and image[300, 300].max() < 80  # the car itself
    for before, after in zip(RIG, load_rig(tmp_path / "new.yaml"), strict=True):
        moved = (invert(before.ego_from_camera) @ after.ego_from_camera)[:3, 3]
        assert 0 < np.linalg.norm(moved) < 0.03


def test_without_a_cloth_there_is_a_picture_and_no_figure(
    octoview: Octoview, folder: Path, tmp_path: Path
):
    out = tmp_path / "above.jpg"
    done = octoview("stitch", folder, "--rig", folder / "car.yaml", "--pixel", 0.05, "--out", out)
    assert done.code == 0 and out.is_file() and "Ground views" not in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--square", 0.9], "no camera sees squares of 0.9 m"),
        (["--body=1,0,2"], "FRONT must be ahead"),
        (["--body=1,x"], "give REAR,FRONT,WIDTH"),
        (["--repose", "new.yaml"], "--square"),
        (["--out", "none/above.png"], "none/above.png"),
        (["--rig", "hw2"], "has no picture of camera 'main'"),
    ],
)
def test_bad_input_is_one_line(
    octoview: Octoview, folder: Path, tmp_path: Path, words: list[object], message: str
):
    usual = ["--rig", folder / "car.yaml", "--pixel", 0.1, "--out", tmp_path / "above.png"]
    done = octoview("stitch", folder, *usual, *words)
    assert done.code == 2 and message in done.err and done.err.count("\n") == 1


def test_a_picture_of_another_size_is_named(octoview: Octoview, folder: Path, tmp_path: Path):
    for camera in RIG:
        image = cv2.imread(str(folder / f"{camera.name}.png"))
        cv2.imwrite(str(tmp_path / f"{camera.name}.png"), image[:-2])
    done = octoview("stitch", tmp_path, "--rig", folder / "car.yaml", "--out", tmp_path / "a.png")
    assert done.code == 2 and "front.png: is 480x318 and the rig says 480x320" in done.err


def test_four_real_fisheyes_join(octoview: Octoview, shared_data: Path, tmp_path: Path):
    """A cloth of 6 by 10 m with squares of 0.4 m around a real car. Its homographies were clicked;
    the left camera's lens is bent where it meets the rear one, and no pose mends that."""
    real = shared_data / "calib" / "surround_fisheye"
    (tmp_path / "ground.yaml").write_text(KIT_GROUND)
    made = octoview(
        *("homography", real / "yaml", "--ground", tmp_path / "ground.yaml"),
        *("--out", tmp_path / "kit.yaml", "--json", tmp_path / "h"),
    )
    assert made.code == 0, made.err
    for camera in json.loads((tmp_path / "h").read_text())["cameras"].values():
        assert camera["skew_deg"] < 2 and camera["stretch"] < 0.05
        assert 0.5 < camera["ego_from_camera"][2][3] < 1.2
    done = octoview(
        *("stitch", real / "images", "--rig", tmp_path / "kit.yaml", "--square", 0.4),
        *(
            "--body=-2.05,2.45,1.9",
            "--reach",
            6,
            "--pixel",
            0.04,
            "--repose",
            tmp_path / "new.yaml",
        ),
        *("--out", tmp_path / "above.png", "--json", tmp_path / "s"),
    )
    assert done.code == 0, done.err
    figures = json.loads((tmp_path / "s").read_text())
    before, after = (figures[part]["between"] for part in ("seams", "reposed"))
    assert set(before) == {"front-left", "front-right", "back-left", "back-right"}
    assert all(seam["median_m"] < 0.15 for seam in before.values())
    assert all(after[pair]["median_m"] < before[pair]["median_m"] for pair in before)
    assert all(after[pair]["median_m"] < 0.02 for pair in set(after) - {"back-left"})
    assert after["back-left"]["median_m"] < 0.08
