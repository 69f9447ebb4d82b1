"""The TeslaCam importer on clips that the tests encode."""

from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from calib.lens import Lens
from calib.pose import ego_from_camera
from calib.rig import Camera, Rig
from deploy.errors import LogError
from deploy.importers.teslacam import CAMERAS, TeslaCamSummary, import_teslacam
from deploy.log import channels
from deploy.log.reader import LogReader
from tests.deploy.importers.pictures import HEIGHT, WIDTH, level, write_clip

START = datetime(2024, 5, 1, 17, 30, tzinfo=timezone.utc)
S = 1_000_000_000


def clip(folder: Path, second: int, camera: str, levels: list[int]) -> Path:
    name = datetime.fromtimestamp(START.timestamp() + second, timezone.utc)
    return write_clip(folder / f"{name:%Y-%m-%d_%H-%M-%S}-{camera}.mp4", levels)


def imported(folder: Path, rig: Rig | None = None) -> tuple[LogReader, TeslaCamSummary]:
    out = folder.parent / "o.mcap"
    summary = import_teslacam(folder, out, lambda done, total: None, rig)
    return LogReader(out), summary


def test_minutes_are_joined_and_a_gap_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "event"
    for camera, base in (("front", 20), ("back", 120)):
        clip(folder, 0, camera, [base + i for i in range(0, 100, 10)])  # one second
        clip(folder, 2, camera, [base + 5] * 5)  # named a second late: no break
        clip(folder, 60, camera, [base + 50] * 3)
    (folder / "event.json").write_text("{}")
    log, summary = imported(folder)
    zero = int(START.timestamp()) * S
    front = [image for image in log.images() if image.camera == "main"]
    rear = [image for image in log.images() if image.camera == "rear"]
    tenth = S // 10
    expected = [zero + i * tenth for i in range(15)] + [zero + 60 * S + i * tenth for i in range(3)]
    assert [image.stamp_ns for image in front] == expected
    assert [image.stamp_ns for image in rear] == expected
    np.testing.assert_allclose([level(i.data) for i in front[:10]], range(20, 120, 10), atol=4.5)
    np.testing.assert_allclose([level(i.data) for i in rear[-3:]], 170, atol=4.5)
    (gap,) = summary.gaps
    assert (gap.stamp_ns, gap.seconds) == (zero + 60 * S, pytest.approx(58.5))
    (message,) = log.messages([channels.GAP])
    assert (message.stamp_ns, message.decode()) == (zero + 60 * S, {"seconds": 58.5})


def test_assumed_cameras_are_those_of_hw2_at_the_size_of_the_video(tmp_path: Path) -> None:
    for camera in CAMERAS:
        clip(tmp_path / "event", 0, camera, [50])
    rig = imported(tmp_path / "event")[0].rig
    assert rig.names == tuple(CAMERAS.values())
    main, left = rig["main"], rig["left_repeater"]
    assert (main.lens.width, main.lens.height) == (WIDTH, HEIGHT) and main.rate_hz == 10
    across = np.degrees(2 * np.arctan(WIDTH / 2 / main.lens.fx))
    assert across == pytest.approx(49, abs=1.5)
    assert rig["rear"].lens.model == "fisheye" and rig["rear"].ego_from_camera[0, 2] < 0
    # Looks back and to the left from the left side.
    assert left.ego_from_camera[0, 2] < 0 < left.ego_from_camera[1, 2]
    assert left.ego_from_camera[1, 3] > 0 > rig["right_repeater"].ego_from_camera[1, 3]


def test_a_rig_decides_where_it_is_given(tmp_path: Path) -> None:
    clip(tmp_path / "event", 0, "front", [50, 60])
    lens = Lens("pinhole", WIDTH, HEIGHT, 99, 98, 30, 20, (0.1, 0, 0, 0, 0.2))
    rig = Rig("mine", (Camera("main", lens, ego_from_camera([1, 0, 1], 0, 0, 0), 36, "large"),))
    log, _ = imported(tmp_path / "event", rig)
    assert log.rig.name == "mine" and log.rig["main"].lens == lens
    assert log.rig["main"].rate_hz == 10


def test_a_clip_cut_by_a_loss_of_power_costs_itself_only(tmp_path: Path) -> None:
    folder = tmp_path / "event"
    clip(folder, 0, "front", [50] * 3)
    cut = clip(folder, 60, "front", [50] * 3)
    cut.write_bytes(cut.read_bytes()[:300])
    log, summary = imported(folder)
    assert len(list(log.images())) == 3
    assert [cut.name in reason for reason in summary.unreadable] == [True]


def test_what_is_no_event(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="gone: no such folder"):
        imported(tmp_path / "gone")
    folder = tmp_path / "event"
    folder.mkdir()
    (folder / "2024-05-01_17-30-00-front.mp4").write_bytes(b"")
    (folder / "2024-13-41_17-30-00-back.mp4").write_bytes(b"")
    with pytest.raises(LogError, match=r"no clip such as .* can be read there") as error:
        imported(folder)
    assert "\n" not in str(error.value) and not list(tmp_path.glob("o.mcap*"))


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    secret = clip(tmp_path / "elsewhere", 0, "front", [50])
    folder = tmp_path / "event"
    folder.mkdir()
    (folder / secret.name).symlink_to(secret)
    with pytest.raises(LogError, match="leads out of the folder"):
        imported(folder)
    assert not list(tmp_path.glob("o.mcap*"))
