"""Small dataset folders, drawn so that image, labels and boxes can be checked by hand."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from perception.data.camvid import LABELS
from perception.taxonomy import OBJECT_CLASSES, SCENE_CLASSES


def write_image(path: Path, width: int, height: int, shade: int = 0) -> Path:
    """A picture whose pixels differ from those of another size or shade; folders are made."""
    ramp = np.linspace(shade, shade + 90, width).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.merge([np.tile(ramp, (height, 1))] * 3))
    return path


def write_json(path: Path, content: object) -> Path:
    """Folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def cut(path: Path) -> None:
    """Leave the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write_camvid(root: Path, n: int = 2, split: str = "val") -> Path:
    """Road below, sky above, one car; image k has its car 10 * k pixels further right."""
    folder = root / split
    annotations = root / f"{split}annot"
    for path in (folder, annotations):
        path.mkdir(parents=True)
    for k in range(n):
        labels = np.full((90, 120), LABELS.index("sky"), np.uint8)
        labels[45:] = LABELS.index("road")
        labels[:5] = LABELS.index("unlabelled")
        labels[40:60, 20 + 10 * k : 50 + 10 * k] = LABELS.index("car")
        cv2.imwrite(str(annotations / f"{k}.png"), labels)
        image = cv2.merge([labels * 20, 255 - labels * 20, labels])
        cv2.imwrite(str(folder / f"{k}.jpg"), image)
    return folder


def synthetic_index() -> dict[str, Any]:
    """Two views, of a large and a small camera."""
    vehicle = {
        "class": "vehicle",
        "box": [59.5, 49.5, 99.5, 79.5],
        "ground_point": [80.0, 90.0],
        "occlusion": 0.1,
        "instance": 4,
        "ignore": False,
    }
    pedestrian = {
        "class": "pedestrian",
        "box": [9.5, 39.5, 19.5, 69.5],
        "ground_point": None,
        "occlusion": 0.9,
        "instance": 5,
        "ignore": True,
    }
    views = [
        {
            "image": f"images/{camera}.jpg",
            "labels": f"labels/{camera}.png",
            "camera": camera,
            "bucket": bucket,
            "scene": 0,
            "objects": objects,
        }
        for camera, bucket, objects in (
            ("main", "large", [vehicle, pedestrian]),
            ("left_pillar", "small", []),
        )
    ]
    return {
        "seed": 1,
        "scene_classes": list(SCENE_CLASSES),
        "object_classes": list(OBJECT_CLASSES),
        "views": views,
    }


def write_synthetic(folder: Path, index: dict[str, Any] | None = None) -> Path:
    """The views of `synthetic_index`, 160x120: sky over drivable ground, with the vehicle."""
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    for camera in ("main", "left_pillar"):
        labels = np.full((120, 160), SCENE_CLASSES.index("sky"), np.uint8)
        labels[60:] = SCENE_CLASSES.index("drivable")
        if camera == "main":
            labels[50:80, 60:100] = SCENE_CLASSES.index("vehicle")
            labels[40:70, 10:20] = SCENE_CLASSES.index("pedestrian")
        cv2.imwrite(str(folder / "labels" / f"{camera}.png"), labels)
        cv2.imwrite(str(folder / "images" / f"{camera}.jpg"), cv2.merge([labels * 20] * 3))
    (folder / "index.json").write_text(json.dumps(index or synthetic_index()))
    return folder
