"""Which topics of a bag are cameras, how they see and where they are."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calib.formats import ros_models
from calib.lens import Lens
from calib.rotation import to_matrix
from deploy.log.frame_tree import FrameTree

IMAGES = ("sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image")
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
TRANSFORMS = "tf2_msgs/msg/TFMessage"

_DEPTH = re.compile(r"depth|disparity", re.IGNORECASE)
# What image_transport and image_pipeline put behind a camera's name, best first.
_ENDINGS = ("image_raw/compressed", "image_raw", "image/compressed", "image", "image_color", "")


@dataclass(frozen=True)
class CameraTopic:
    """`name`: the camera's; `info`: where its CameraInfo is, by ROS's convention."""

    name: str
    topic: str
    info: str


def camera_topics(topics: dict[str, str]) -> list[CameraTopic]:
    """One image topic of each camera, from all topics and their types.

    A camera is a namespace; of several images in it (raw, compressed) the first of _ENDINGS is
    taken: it is as the camera gave it. Depth is left out.
    """
    best: dict[str, tuple[int, str]] = {}
    for topic, kind in topics.items():
        if kind not in IMAGES or _DEPTH.search(topic):
            continue
        ending = next(e for e in _ENDINGS if topic.endswith(f"/{e}" if e else ""))
        namespace = topic[: len(topic) - len(ending)].rstrip("/") if ending else topic
        found = (_ENDINGS.index(ending), topic)
        best[namespace] = min(best.get(namespace, found), found)
    return [
        CameraTopic(_plain(namespace), topic, f"{namespace}/camera_info")
        for namespace, (_, topic) in sorted(best.items())
    ]


def lens_of(info: Any) -> Lens:
    """The lens of a CameraInfo of ROS 1 (K, D) or 2 (k, d). Raises LensError for one of no lens."""
    K, D = (list(getattr(info, name, getattr(info, name.lower(), ()))) for name in "KD")
    return ros_models.to_lens(
        info.distortion_model, [float(d) for d in D], [float(k) for k in K], info.width, info.height
    )


def transforms(message: Any) -> Iterator[tuple[str, str, int, NDArray[np.float64]]]:
    """Parent, child, stamp in nanoseconds and pose (4, 4) of each transform of a TFMessage.

    Raises ValueError for a rotation that is none.
    """
    for one in message.transforms:
        t, q = one.transform.translation, one.transform.rotation
        pose = to_matrix((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
        parent, child = one.header.frame_id.lstrip("/"), one.child_frame_id.lstrip("/")
        yield parent, child, stamp_ns(one.header), pose


def stamp_ns(header: Any) -> int:
    """Nanoseconds of a header; 0 if it has none."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def add_all(tree: FrameTree, found: Iterable[tuple[str, str, int, NDArray[np.float64]]]) -> None:
    for parent, child, _, pose in found:
        tree.add(parent, child, pose)


def _plain(namespace: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", namespace.strip("/")) or "camera"
