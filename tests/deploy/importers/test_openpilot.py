"""The openpilot importer on raw HEVC that the tests encode."""

from pathlib import Path

import numpy as np
import pytest

from calib.lens import Lens
from calib.pose import ego_from_camera
from calib.rig import Camera, Rig
from deploy.errors import LogError
from deploy.importers import openpilot
from deploy.importers.openpilot import import_openpilot
from deploy.log.reader import LogReader
from tests.deploy.importers.pictures import HEIGHT, WIDTH, level, write_clip

S = 1_000_000_000


@pytest.fixture
def route(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two segments of small frames, the second without the wide camera."""
    monkeypatch.setitem(openpilot.FOCAL, (WIDTH, HEIGHT), {"main": 88.0, "wide": 19.0})  # type: ignore[arg-type]
    folder = tmp_path / "route"
    for segment, file, base in ((0, "fcamera", 20), (0, "ecamera", 150), (1, "fcamera", 90)):
        path = folder / f"0a1b--2f--{segment}" / f"{file}.hevc"
        write_clip(path, [base, base + 20, base + 40], 20, "libx265")
    (folder / "0a1b--2f--0" / "dcamera.hevc").write_bytes(b"the driver")
    return folder


def test_segments_follow_one_another_at_20_hz(route: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.mcap"
    summary = import_openpilot(route, out, lambda done, total: None)
    assert summary.images == {"main": 6, "wide": 3}
    log = LogReader(out)
    main = [image for image in log.images() if image.camera == "main"]
    period = S // 20
    assert [i.stamp_ns for i in main] == [k * 60 * S + i * period for k in (0, 1) for i in range(3)]
    np.testing.assert_allclose([level(i.data) for i in main], [20, 40, 60, 90, 110, 130], atol=4)
    assert log.rig.names == ("main", "wide")
    assert (log.rig["main"].lens.fx, log.rig["wide"].lens.fx) == (88.0, 19.0)
    np.testing.assert_allclose(log.rig["main"].ego_from_camera[:3, 2], [1, 0, 0], atol=1e-12)
    assert log.rig["main"].rate_hz == 20


def test_one_segment_alone(route: Path, tmp_path: Path) -> None:
    import_openpilot(route / "0a1b--2f--1", tmp_path / "o.mcap", lambda done, total: None)
    stamps = [image.stamp_ns for image in LogReader(tmp_path / "o.mcap").images()]
    assert stamps[0] == 60 * S and len(stamps) == 3


def test_a_rig_decides_where_it_is_given(route: Path, tmp_path: Path) -> None:
    pose = ego_from_camera([2, 0, 1.3], 0, -0.02, 0)
    lens = Lens("pinhole", WIDTH, HEIGHT, 70, 70, 30, 20)
    rig = Rig("mine", tuple(Camera(n, lens, pose, 36, "large") for n in ("main", "wide")))
    import_openpilot(route, tmp_path / "o.mcap", lambda done, total: None, rig)
    assert LogReader(tmp_path / "o.mcap").rig["main"].lens == lens


def test_what_is_refused(route: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "o.mcap"

    def refused(folder: Path, reason: str) -> None:
        with pytest.raises(LogError, match=reason):
            import_openpilot(folder, out, lambda done, total: None)

    refused(tmp_path / "gone", "no such folder")
    refused(tmp_path, "no fcamera.hevc or ecamera.hevc there")
    monkeypatch.delitem(openpilot.FOCAL, (WIDTH, HEIGHT))  # type: ignore[arg-type]
    refused(route, "frames are 64x48, and openpilot's are 1928x1208")
    (route / "ffff--2f--0").mkdir()
    refused(route, "2 routes")
    assert not list(tmp_path.glob("o.mcap*"))
