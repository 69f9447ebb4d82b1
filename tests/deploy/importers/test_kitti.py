"""The KITTI importer on a tiny drive in the official layout."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from calib.pose import BODY_FROM_OPTICAL
from deploy.errors import LogError
from deploy.importers.kitti import EARTH_RADIUS_M, IMU_HEIGHT_M, import_kitti
from deploy.log import channels
from deploy.log.reader import LogReader
from deploy.log.rig_messages import to_pose
from tests.deploy.importers.pictures import level, png

START = 1_317_042_145  # 2011-09-26 13:02:25, taken for UTC
OPTICAL_FROM_BODY = BODY_FROM_OPTICAL.T
PIXELS = ("6.4e+01", "4.8e+01")


def words(values: object) -> str:
    return " ".join(f"{value:.9e}" for value in np.ravel(np.asarray(values, float)))


def write_drive(root: Path, kind: str = "sync") -> Path:
    """Cameras 00 and 02 (0.5 m to the right) looking along the lidar's x axis, 0.3 m in front of
    it; the lidar 0.8 m in front of the GPS/IMU and 0.7 m above; 3 images, 0.1 s apart."""
    drive = root / f"2011_09_26_drive_0001_{kind}"
    tilt = 0.01  # of the rectified cameras, about their x axis
    rectify = [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
    lines = ["calib_time: 09-Jan-2012 13:57:47", "corner_dist: 9.950000e-02"]
    for name, baseline in (("00", 0.0), ("02", 0.5)):
        lines += [
            f"S_{name}: {' '.join(PIXELS)}",
            f"K_{name}: {words([[50, 0, 31], [0, 51, 23], [0, 0, 1]])}",
            f"D_{name}: {words([-0.3, 0.1, 0.001, 0, 0])}",
            f"R_{name}: {words(np.eye(3))}",
            f"T_{name}: {words([-baseline, 0, 0])}",
            f"S_rect_{name}: {' '.join(PIXELS)}",
            f"R_rect_{name}: {words(rectify)}",
            f"P_rect_{name}: {words([[40, 0, 30, -40 * baseline], [0, 40, 22, 0], [0, 0, 1, 0]])}",
        ]
    (root / "calib_cam_to_cam.txt").write_text("\n".join(lines) + "\n")
    (root / "calib_velo_to_cam.txt").write_text(
        f"R: {words(OPTICAL_FROM_BODY)}\nT: {words(OPTICAL_FROM_BODY @ [-0.3, 0, 0])}\n"
    )
    (root / "calib_imu_to_velo.txt").write_text(
        f"R: {words(np.eye(3))}\nT: {words([-0.8, 0, -0.7])}\n"
    )
    for camera, base in (("image_00", 20), ("image_02", 120)):
        data = drive / camera / "data"
        data.mkdir(parents=True)
        stamps = [f"2011-09-26 13:02:25.{i}00000007" for i in range(3)]
        (drive / camera / "timestamps.txt").write_text("\n".join(stamps) + "\n")
        for i in range(3):
            (data / f"{i:010}.png").write_bytes(png(base + 10 * i))
    data = drive / "oxts" / "data"
    data.mkdir(parents=True)
    (drive / "oxts" / "timestamps.txt").write_text("2011-09-26 13:02:25.000000007\n" * 2)
    north = math.degrees(10 / EARTH_RADIUS_M)
    for i in range(2):  # heading north, then 10 m on and turned to the west by 0.5
        yaw = math.pi / 2 + 0.5 * i
        row = [49.0 + i * north, 8.4, 112.0, 0, 0, yaw, *[0.0] * 24]
        (data / f"{i:010}.txt").write_text(words(row))
    return drive


def do(drive: Path, out: Path) -> LogReader:
    import_kitti(drive, out, lambda done, total: None)
    return LogReader(out)


def test_images_keep_their_bytes_and_nanoseconds(tmp_path: Path) -> None:
    log = do(write_drive(tmp_path), tmp_path / "o.mcap")
    images = list(log.images())
    assert len(images) == 6 and {image.format for image in images} == {"png"}
    stamps = [i.stamp_ns for i in images if i.camera == "image_02"]
    assert stamps == [START * 10**9 + i * 10**8 + 7 for i in range(3)]
    shades = [level(i.data) for i in images if i.camera == "image_02"]
    assert shades == [120, 130, 140]
    assert log.rig["image_02"].rate_hz == pytest.approx(10)


def test_rectified_cameras_stand_where_the_chain_of_files_puts_them(tmp_path: Path) -> None:
    rig = do(write_drive(tmp_path), tmp_path / "o.mcap").rig
    first, second = rig["image_00"], rig["image_02"]
    np.testing.assert_allclose(
        first.ego_from_camera[:3, 3], [1.1, 0, IMU_HEIGHT_M + 0.7], atol=1e-9
    )
    np.testing.assert_allclose(
        second.ego_from_camera[:3, 3] - first.ego_from_camera[:3, 3], [0, -0.5, 0], atol=1e-9
    )
    # Rectifying turned them by 0.01 about x: the axis goes up or down, not aside.
    assert abs(first.ego_from_camera[2, 2]) == pytest.approx(0.01, abs=1e-6)
    assert first.lens.fx == 40 and not first.lens.distortion


def test_extracted_images_take_the_cameras_before_rectification(tmp_path: Path) -> None:
    camera = do(write_drive(tmp_path, "extract"), tmp_path / "o.mcap").rig["image_02"]
    assert camera.lens.fx == 50 and camera.lens.distortion[:2] == (-0.3, 0.1)
    np.testing.assert_allclose(camera.ego_from_camera[:3, 2], [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(camera.ego_from_camera[:3, 3], [1.1, -0.5, 1.63], atol=1e-9)


def test_positions_begin_at_the_first_in_metres(tmp_path: Path) -> None:
    log = do(write_drive(tmp_path), tmp_path / "o.mcap")
    found = [m.decode() for m in log.messages([channels.TRANSFORMS])]
    first, second = (to_pose(m) for m in found if m.child_frame_id == channels.EGO_FRAME)
    np.testing.assert_allclose(first, np.eye(4), atol=1e-9)
    # 10 m straight ahead, turned left by 0.5.
    np.testing.assert_allclose(second[:3, 3], [10, 0, 0], atol=1e-3)
    assert math.atan2(second[1, 0], second[0, 0]) == pytest.approx(0.5)


def remove(name: str) -> Callable[[Path], None]:
    return lambda drive: (drive / name).unlink()


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda drive: (drive / name).write_text(text) and None


def link_out(drive: Path) -> None:
    (drive / "image_00" / "data" / "0000000001.png").unlink()
    (drive / "image_00" / "data" / "0000000001.png").symlink_to("/etc/hostname")


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (remove("../calib_velo_to_cam.txt"), r"calib_velo_to_cam.txt: can't be read"),
        (write("../calib_imu_to_velo.txt", "R: 1 2 3\n"), r"calib_imu_to_velo.txt: R is"),
        (write("image_00/timestamps.txt", "noon\n"), "line 1 is 'noon'"),
        (write("image_00/timestamps.txt", ""), "is empty"),
        (write("oxts/data/0000000000.txt", "1 2 three"), "does not begin with six numbers"),
        (write("oxts/data/0000000000.txt", "nan 1 1 1 1 1"), "are no position"),
        (link_out, "leads out of the folder"),
    ],
)
def test_what_is_damaged_is_one_line(
    harm: Callable[[Path], None], reason: str, tmp_path: Path
) -> None:
    drive = write_drive(tmp_path)
    harm(drive)
    with pytest.raises(LogError, match=reason) as error:
        do(drive, tmp_path / "o.mcap")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("o.mcap*"))


def test_an_image_that_is_absent_leaves_its_gap(tmp_path: Path) -> None:
    drive = write_drive(tmp_path)
    (drive / "image_00" / "data" / "0000000001.png").unlink()
    images = [i for i in do(drive, tmp_path / "o.mcap").images() if i.camera == "image_00"]
    assert [level(i.data) for i in images] == [20, 40]
    assert images[1].stamp_ns - images[0].stamp_ns == 2 * 10**8
