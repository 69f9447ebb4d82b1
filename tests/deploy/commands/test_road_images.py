"""Images of a log or a folder as the network takes them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from deploy.commands.road_images import road_images
from deploy.errors import LogError
from perception.errors import DatasetError
from perception.spec import PRESETS

SPEC = PRESETS["nano"]


def test_every_camera_of_a_log_goes_into_its_bucket(log: Path) -> None:
    large, small = road_images(log, SPEC)
    assert large.shape[1:] == (3, 480, 640) and small.shape[1:] == (3, 240, 320)
    assert len(large) > 1 and len(small) > 1
    assert large.std() > 0.1 and np.isfinite(large).all()


def test_a_folder_is_sampled_all_over_and_each_image_fits(tmp_path: Path) -> None:
    for index in range(200):
        side = (64, 48) if index % 2 else (800, 600)
        picture = np.full((side[1], side[0], 3), index, np.uint8)
        cv2.imwrite(str(tmp_path / f"{index:03}.png"), picture)
    large, small = road_images(tmp_path, SPEC)
    assert len(large) + len(small) == 96
    seen = np.concatenate([large[:, 0].max((1, 2)), small[:, 0].max((1, 2))])
    order = np.sort((seen * SPEC.std[0] + SPEC.mean[0]) * 255)
    assert order[0] < 40 and order[-1] > 160
    assert len(np.unique(order.round())) == 96


def test_what_has_no_images_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no image there"):
        road_images(tmp_path, SPEC)
    with pytest.raises(LogError):
        road_images(tmp_path / "absent.mcap", SPEC)
    (tmp_path / "cut.png").write_bytes(b"\x89PNG")
    with pytest.raises(DatasetError, match=r"cut\.png: damaged image"):
        road_images(tmp_path, SPEC)
