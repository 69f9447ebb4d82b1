"""The numbers worked out in docs/frames.md are the ones that the code gives."""

import re
from pathlib import Path

import numpy as np

from calib.letterbox import Letterbox
from calib.rig import load_rig

PAGE = (Path(__file__).parents[2] / "docs" / "frames.md").read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())


def test_rig_file_and_worked_example(tmp_path: Path):
    block = re.search(r"^    name: my_car\n(?:    .*\n)+", PAGE, re.MULTILINE)
    assert block
    path = tmp_path / "my_car.yaml"
    path.write_text(re.sub("^    ", "", block[0], flags=re.MULTILINE))
    camera = load_rig(path)["left_pillar"]
    assert camera == load_rig("hw2")["left_pillar"]

    matrix = re.findall(r"\|((?: +-?[\d.]+){4}) +\|", PAGE)
    written = np.array([[float(number) for number in row.split()] for row in matrix])
    np.testing.assert_allclose(camera.ego_from_camera, written, atol=5.01e-4)

    x, y, z = (camera.camera_from_ego @ [8, 10, 0, 1])[:3]
    assert f"({x:.3f}, {y:.3f}, {z:.3f})" in TEXT
    assert f"({x / z:.4f}, {y / z:.4f})" in TEXT
    pixel, visible = camera.project([8, 10, 0])
    assert visible
    assert f"pixel ({pixel[0]:.1f}, {pixel[1]:.1f})" in TEXT


def test_letterbox_example():
    box = Letterbox.fit(960, 540, 640, 480)
    assert (box.resized_width, box.resized_height, box.pad) == (640, 360, (0, 60))
    x, y = box.forward([100, 200])
    assert f"({x:.1f}, {y:.2f})" in TEXT
