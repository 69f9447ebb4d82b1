"""`octoview calibrate intrinsics` on rendered and on real boards."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from pydantic import TypeAdapter

from calib.lens import Lens
from deploy.commands.calibrate.intrinsics_page import flat_lens
from tests.calib.intrinsics.scenes import picture
from tests.deploy.command_line import Done, Octoview, command_line

LENS = Lens("pinhole", 640, 480, 520, 522, 325, 236, (-0.2, 0.06, 0.0005, -0.0004))


@pytest.fixture
def octoview(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Octoview:
    return command_line(monkeypatch, capsys, "calibrate", "intrinsics")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    turns = ((-0.5, 0, 0), (0.5, 0.1, 0), (0, -0.5, 0.1), (0, 0.5, 0), (0.4, 0.4, 0.2), (0, 0, 0))
    places = ((-0.28, -0.16), (0.0, -0.16), (-0.28, 0.02), (0.0, 0.02), (-0.13, -0.07))
    for number in range(12):
        pose = np.array([*turns[number % 6], *places[number % 5], 0.5 + 0.03 * number])
        cv2.imwrite(str(folder / f"{number:02}.png"), picture(LENS, pose))
    return folder


def test_a_page_to_believe_it_by(octoview: Octoview, pictures: Path, tmp_path: Path) -> None:
    page = tmp_path / "lens.html"
    board = "chessboard:9x6:0.03"
    figures = tmp_path / "j"
    done = run(octoview, pictures, tmp_path / "c.yaml", board, "--report", page, "--json", figures)
    assert done.code == 0, done.err
    assert f"wrote {page}" in done.out
    text = page.read_text()
    numbers = json.loads(figures.read_text())
    assert f"{numbers['rms_px']:.3f} px" in text and f"{numbers['heldout_rms_px']:.3f} px" in text
    pictures_shown = re.findall(r'<svg viewBox.*?aria-label="(.*?)".*?</svg>', text, re.S)
    assert pictures_shown == ["coverage", "residuals", "as taken", "straightened"]
    # Every corner used is on the map: one dot each.
    coverage = text[text.index('aria-label="coverage"') : text.index('aria-label="residuals"')]
    assert coverage.count("<circle") == 54 * numbers["boards_used"]


def test_a_page_of_another_kind_is_refused_before_the_work(
    octoview: Octoview, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "c.yaml"
    done = run(octoview, pictures, out, "chessboard:9x6:0.03", "--report", tmp_path / "lens.pdf")
    assert done.code == 2 and "is no .html file" in done.err
    assert not out.exists()


def test_the_straightened_rows_lie_on_their_lines(pictures: Path) -> None:
    """The page's lens without distortion shows straight what is straight."""
    flat = flat_lens(LENS, np.array([[60.0, 60], [580, 420]]))
    pose = np.array([0.3, -0.2, 0.1, -0.2, -0.22, 0.5])
    row = np.array([[x, 0.06, 0.0] for x in np.linspace(0, 0.24, 9)])
    camera = row @ cv2.Rodrigues(pose[:3])[0].T + pose[3:]

    def bend(pixels: np.ndarray) -> float:
        along = pixels[-1] - pixels[0]
        across = np.array([-along[1], along[0]]) / np.linalg.norm(along)
        return float(np.abs((pixels - pixels[0]) @ across).max())

    taken = LENS.project(camera)[0]
    straight = flat.project(LENS.unproject(taken))[0]
    assert bend(straight) < 1e-3 < 0.3 < bend(taken)


def run(octoview: Octoview, folder: Path, out: Path, board: str, *options: object) -> Done:
    return octoview(folder, "--board", board, "--out", out, *options)


def test_pictures_in_a_lens_out(octoview: Octoview, pictures: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(pictures / "small.png"), cv2.resize(picture(LENS, np.eye(6)[5]), (320, 240)))
    (pictures / "torn.png").write_bytes(b"no image")
    done = run(
        octoview,
        pictures,
        tmp_path / "camera.yaml",
        "chessboard:9x6:0.03",
        "--json",
        tmp_path / "j",
    )
    assert done.code == 0, done.err
    figures = json.loads((tmp_path / "j").read_text())
    assert figures["model"] == "pinhole"
    assert figures["boards_total"] == 14
    assert figures["boards_used"] >= 10
    assert 0 < figures["rms_px"] < 0.3 and 0 < figures["heldout_rms_px"] < 0.4
    assert figures["skipped"]["torn.png"] == "is no image that OpenCV can read"
    assert "torn.png" in done.out and "small.png" in done.out
    content = yaml.safe_load((tmp_path / "camera.yaml").read_text())
    lens = TypeAdapter(Lens).validate_python(content["lens"])
    assert lens.fx == pytest.approx(LENS.fx, rel=0.01) == figures["fx"]
    # Where it matters: rays of the found lens are those of the true one.
    pixels = np.array([[60, 60], [320, 240], [580, 420.0]])
    cosines = (lens.unproject(pixels) * LENS.unproject(pixels)).sum(axis=-1)
    assert np.degrees(np.arccos(np.minimum(cosines, 1))).max() < 0.6


@pytest.mark.parametrize(
    ("board", "line"),
    [
        ("chessboard:9x6:25", "'25' is no length; give metres"),
        ("chessboard:5x4:0.03", "images show the whole board"),
        ("chess", "use chessboard, charuco, aprilgrid"),
    ],
)
def test_a_wrong_board_is_one_line(
    octoview: Octoview, pictures: Path, tmp_path: Path, board: str, line: str
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for name in ("00.png", "01.png", "02.png"):
        (few / name).write_bytes((pictures / name).read_bytes())
    done = run(octoview, few, tmp_path / "camera.yaml", board)
    assert done.code == 2
    assert line in done.err and "Traceback" not in done.err
    assert not (tmp_path / "camera.yaml").exists()


def test_an_empty_folder_is_one_line(octoview: Octoview, tmp_path: Path) -> None:
    done = run(octoview, tmp_path, tmp_path / "camera.yaml", "chessboard:9x6:0.03")
    assert done.code == 2 and "holds no image" in done.err


@pytest.mark.parametrize(
    ("folder", "model", "used", "rms"),
    [
        ("fisheye_chessboard", "fisheye", 22, 0.40),
        ("pinhole_chessboard/camera_cal", "pinhole", 18, 0.95),
    ],
)
def test_real_boards(
    octoview: Octoview,
    shared_data: Path,
    tmp_path: Path,
    folder: str,
    model: str,
    used: int,
    rms: float,
) -> None:
    done = run(
        octoview,
        shared_data / "calib" / folder,
        tmp_path / "c.yaml",
        "chessboard:9x6:0.025",
        "--json",
        tmp_path / "j",
    )
    assert done.code == 0, done.err
    figures = json.loads((tmp_path / "j").read_text())
    assert figures["model"] == model
    assert figures["boards_used"] >= used
    assert figures["rms_px"] <= rms
