"""The importer of ROS bags on bags that the package rosbags writes."""

from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags")
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from calib.pose import BODY_FROM_OPTICAL, ego_from_camera
from calib.rig import Camera, Rig
from calib.rotation import to_quaternion
from deploy.errors import LogError
from deploy.importers.rosbag import BagSummary, import_rosbag
from deploy.log import channels
from deploy.log.reader import LogReader
from deploy.log.rig_messages import to_pose
from tests.deploy.importers.pictures import HEIGHT, WIDTH, jpeg, level

S = 1_000_000_000
T0 = 1_700_000_000 * S
K = [50.0, 0, 31, 0, 50, 23, 0, 0, 1]
Put = Callable[..., None]


class Messages:
    """Messages of either ROS, whose fields differ in a few names."""

    def __init__(self, ros: int) -> None:
        self.ros = ros
        self.store = get_typestore(Stores.ROS1_NOETIC if ros == 1 else Stores.ROS2_HUMBLE)
        if ros == 1:  # not one of its common messages
            transforms = "geometry_msgs/TransformStamped[] transforms"
            self.store.register(get_types_from_msg(transforms, "tf2_msgs/msg/TFMessage"))

    def make(self, name: str, *args: Any) -> Any:
        return self.store.types[name](*args)

    def header(self, frame: str, stamp_ns: int) -> Any:
        time = self.make("builtin_interfaces/msg/Time", stamp_ns // S, stamp_ns % S)
        sequence = [0] if self.ros == 1 else []
        return self.make("std_msgs/msg/Header", *sequence, time, frame)

    def compressed(self, frame: str, stamp_ns: int, data: bytes, form: str = "jpeg") -> Any:
        header = self.header(frame, stamp_ns)
        return self.make(
            "sensor_msgs/msg/CompressedImage", header, form, np.frombuffer(data, np.uint8)
        )

    def image(self, frame: str, stamp_ns: int, encoding: str, rows: np.ndarray) -> Any:
        """`rows`: bytes of each row with its padding."""
        header = self.header(frame, stamp_ns)
        return self.make(
            "sensor_msgs/msg/Image",
            *(header, HEIGHT, WIDTH, encoding, 0, rows.shape[1], rows.ravel()),
        )

    def info(self, frame: str, D: list[float], model: str = "plumb_bob") -> Any:
        region = self.make("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False)
        K_, R, P = np.array(K), np.eye(3).ravel(), np.zeros(12)
        return self.make(
            "sensor_msgs/msg/CameraInfo",
            *(self.header(frame, T0), HEIGHT, WIDTH, model, np.array(D), K_, R, P, 0, 0, region),
        )

    def tf(self, stamp_ns: int, *edges: tuple[str, str, np.ndarray]) -> Any:
        found = []
        for parent, child, pose in edges:
            t = self.make("geometry_msgs/msg/Vector3", *pose[:3, 3].tolist())
            q = self.make("geometry_msgs/msg/Quaternion", *to_quaternion(pose[:3, :3]))
            transform = self.make("geometry_msgs/msg/Transform", t, q)
            header = self.header(parent, stamp_ns)
            found.append(self.make("geometry_msgs/msg/TransformStamped", header, child, transform))
        return self.make("tf2_msgs/msg/TFMessage", found)

    @contextmanager
    def bag(self, path: Path, storage: StoragePlugin = StoragePlugin.SQLITE3) -> Any:
        """A function that writes a message to a topic at a time."""
        writer = (
            Writer1(path) if self.ros == 1 else Writer2(path, version=9, storage_plugin=storage)
        )
        with writer:
            topics: dict[str, Any] = {}

            def put(topic: str, stamp_ns: int, message: Any) -> None:
                kind = message.__msgtype__
                if topic not in topics:
                    topics[topic] = writer.add_connection(topic, kind, typestore=self.store)
                serialize = self.store.serialize_ros1 if self.ros == 1 else self.store.serialize_cdr
                writer.write(topics[topic], stamp_ns, serialize(message, kind))

            yield put


FRONT = ego_from_camera([1.5, 0, 1.4], 0, -0.05, 0)
MOUNT = np.eye(4)
MOUNT[:3, 3] = 0.5, 0, 1.0


def write_drive(path: Path, messages: Messages, **storage: Any) -> Path:
    """Front: compressed images beside raw ones, its frame hanging on base_link over two edges,
    told after the first images. Left: raw rgb8, a fisheye. The vehicle moves in odom."""
    make, front, left = messages, "front_optical", "left_optical"
    mount_from_front = np.linalg.inv(MOUNT) @ FRONT
    base_from_left = ego_from_camera([1, 0.8, 1.2], 1.5, 0, 0)
    raw = np.full((HEIGHT, WIDTH * 3), 9, np.uint8)
    rgb = np.tile(np.array([200, 30, 60], np.uint8), (HEIGHT, WIDTH))
    depth = np.zeros((HEIGHT, WIDTH * 2), np.uint8)
    with messages.bag(path, **storage) as put:
        for i in range(4):
            now = T0 + i * S // 10
            compressed = make.compressed(front, now, jpeg(40 + 20 * i))
            put("/front/image_raw/compressed", now + 5, compressed)
            put("/front/image_raw", now + 5, make.image(front, now, "bgr8", raw))
            put("/car/left/image_raw", now + 7, make.image(left, now + 2, "rgb8", rgb))
            put("/front/depth/image_raw", now, make.image(front, now, "16UC1", depth))
            moved = np.eye(4) + np.eye(4, k=3) * i
            put("/tf", now, make.tf(now, ("odom", "base_link", moved)))
            if i == 1:
                put("/front/camera_info", now, make.info(front, [-0.2, 0.1, 0.001, 0.002, 0]))
                fisheye = make.info(left, [0.1, 0.2, 0.3, 0.4], "equidistant")
                put("/car/left/camera_info", now, fisheye)
                edges = ("mount", front, mount_from_front), ("base_link", left, base_from_left)
                put("/tf_static", now, make.tf(now, *edges))
                put("/tf_static", now, make.tf(now, ("base_link", "mount", MOUNT)))
    return path


def do(bag: Path, out: Path, **options: Any) -> tuple[LogReader, BagSummary]:
    summary = import_rosbag(bag, out, lambda done, total: None, **options)
    return LogReader(out), summary


def pixels(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize("kind", ["ros1", "ros2 sqlite3", "ros2 mcap"])
def test_a_drive_comes_out_as_it_went_in(kind: str, tmp_path: Path) -> None:
    messages = Messages(1 if kind == "ros1" else 2)
    options = {} if kind == "ros1" else {"storage": StoragePlugin[kind.split()[1].upper()]}
    bag = write_drive(tmp_path / ("a.bag" if kind == "ros1" else "a"), messages, **options)
    log, summary = do(bag, tmp_path / "o.mcap")
    assert summary.images == {"car_left": 4, "front": 4} and not summary.left_out
    front = [image for image in log.images() if image.camera == "front"]
    assert [i.stamp_ns for i in front] == [T0 + i * S // 10 for i in range(4)]
    assert [i.data for i in front] == [jpeg(40 + 20 * i) for i in range(4)]
    left = next(image for image in log.images() if image.camera == "car_left")
    np.testing.assert_allclose(pixels(left.data).mean(axis=(0, 1)), (60, 30, 200), atol=3)
    rig = log.rig
    np.testing.assert_allclose(rig["front"].ego_from_camera, FRONT, atol=1e-9)
    assert rig["front"].lens.distortion == (-0.2, 0.1, 0.001, 0.002, 0)
    assert (rig["car_left"].lens.model, rig["car_left"].lens.distortion[3]) == ("fisheye", 0.4)
    assert rig["front"].rate_hz == pytest.approx(10, rel=0.01)
    found = [m.decode() for m in log.messages([channels.TRANSFORMS])]
    poses = [to_pose(m) for m in found if m.child_frame_id == channels.EGO_FRAME]
    assert [pose[0, 3] for pose in poses] == [0, 1, 2, 3]


# What each encoding makes of a pixel that is blue 40, green 90, red 200.
PIXEL = (40, 90, 200)
LIKE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bgr8": lambda image: image,
    "rgb8": lambda image: image[..., ::-1],
    "bgra8": lambda image: cv2.cvtColor(image, cv2.COLOR_BGR2BGRA),
    "rgba8": lambda image: cv2.cvtColor(image, cv2.COLOR_BGR2RGBA),
    "yuv422_yuy2": lambda image: cv2.cvtColor(image, cv2.COLOR_BGR2YUV_YUY2),
    "yuv422": lambda image: cv2.cvtColor(image, cv2.COLOR_BGR2YUV_UYVY),
    **{
        f"bayer_{order}8": lambda image, order=order: mosaic(image, order)  # type: ignore[misc]
        for order in ("rggb", "bggr", "gbrg", "grbg")
    },
}


def mosaic(image: np.ndarray, order: str) -> np.ndarray:
    """What a sensor with this colour filter sees; the order is that of the upper left 2x2."""
    out = np.empty(image.shape[:2], np.uint8)
    for place, colour in enumerate(order):
        row, column = divmod(place, 2)
        out[row::2, column::2] = image[row::2, column::2, "bgr".index(colour)]
    return out


@pytest.mark.parametrize("encoding", LIKE)
def test_every_encoding_gives_the_same_colours(encoding: str, tmp_path: Path) -> None:
    messages = Messages(2)
    image = np.full((HEIGHT, WIDTH, 3), PIXEL, np.uint8)
    rows = LIKE[encoding](image).reshape(HEIGHT, -1)
    padded = np.pad(rows, ((0, 0), (0, 8)), constant_values=255)
    with messages.bag(tmp_path / "a") as put:
        put("/c/camera_info", T0, messages.info("base_link", [0.0] * 5))
        put("/c/image_raw", T0, messages.image("base_link", T0, encoding, padded))
    log, _ = do(tmp_path / "a", tmp_path / "o.mcap")
    found = pixels(next(log.images()).data)
    np.testing.assert_allclose(found[4:-4, 4:-4].mean(axis=(0, 1)), PIXEL, atol=5)


def test_grey_and_other_frames_for_ego(tmp_path: Path) -> None:
    messages = Messages(2)
    camera = np.eye(4)
    camera[:3, :3] = BODY_FROM_OPTICAL
    with messages.bag(tmp_path / "a") as put:
        put("/tf_static", T0, messages.tf(T0, ("vehicle", "cam", camera)))
        put("/c/camera_info", T0, messages.info("cam", []))
        rows = np.full((HEIGHT, WIDTH), 77, np.uint8)
        put("/c/image_raw", T0, messages.image("cam", T0, "mono8", rows))
    with pytest.raises(LogError, match="puts its frame 'cam' on 'vehicle', not on 'base_link'"):
        do(tmp_path / "a", tmp_path / "o.mcap")
    log, _ = do(tmp_path / "a", tmp_path / "o.mcap", base="vehicle")
    assert level(next(log.images()).data) == 77
    np.testing.assert_allclose(log.rig["c"].ego_from_camera, camera, atol=1e-12)


def test_what_can_not_be_used_is_left_out_and_told(tmp_path: Path) -> None:
    messages = Messages(2)
    with messages.bag(tmp_path / "a") as put:
        put("/good/camera_info", T0, messages.info("base_link", []))
        put("/good/image/compressed", T0, messages.compressed("base_link", T0, jpeg(50)))
        put("/good/image/compressed", T0 + 1, messages.compressed("base_link", T0, b"BM6", "bmp"))
        put("/bare/image/compressed", T0, messages.compressed("base_link", T0, jpeg(50)))
        put("/odd/camera_info", T0, messages.info("base_link", [0.1], "fov"))
        put(
            "/odd/image_raw",
            T0,
            messages.image("base_link", T0, "mono8", np.zeros((HEIGHT, WIDTH), np.uint8)),
        )
    log, summary = do(tmp_path / "a", tmp_path / "o.mcap")
    assert summary.images == {"good": 1} and log.rig.names == ("good",)
    assert summary.left_out["bare"] == "no /bare/camera_info"
    assert "'fov'" in summary.left_out["odd"]
    assert "neither jpeg, png nor webp" in summary.left_out["/good/image/compressed"]


def test_a_rig_stands_in_for_calibration(tmp_path: Path) -> None:
    messages = Messages(1)
    with messages.bag(tmp_path / "a.bag") as put:
        put("/c/image_raw/compressed", T0, messages.compressed("x", T0, jpeg(50)))
    with pytest.raises(LogError, match=r"c: no /c/camera_info.*give --rig"):
        do(tmp_path / "a.bag", tmp_path / "o.mcap")
    drive = write_drive(tmp_path / "b.bag", messages)
    lens = do(drive, tmp_path / "b.mcap")[0].rig["front"].lens
    rig = Rig("mine", (Camera("c", lens, FRONT, 10, "small"),))
    log, _ = do(tmp_path / "a.bag", tmp_path / "o.mcap", rig=rig)
    assert (log.rig.name, log.rig["c"].lens) == ("mine", lens)
    np.testing.assert_allclose(log.rig["c"].ego_from_camera, FRONT, atol=1e-9)


def cut(bag: Path) -> None:
    bag.write_bytes(bag.read_bytes()[:-3000])


def scramble(bag: Path) -> None:
    content = bytearray(bag.read_bytes())
    content[4200:9000] = bytes(4800)
    bag.write_bytes(content)


@pytest.mark.parametrize(
    "harm", [cut, scramble, lambda bag: bag.write_bytes(b""), lambda bag: bag.write_text("no bag")]
)
def test_a_damaged_bag_is_one_line_and_no_log(harm: Callable[[Path], Any], tmp_path: Path) -> None:
    bag = write_drive(tmp_path / "a.bag", Messages(1))
    harm(bag)
    with pytest.raises(LogError, match=r"a\.bag: ") as error:
        do(bag, tmp_path / "o.mcap")
    assert "\n" not in str(error.value) and len(str(error.value)) < 500
    assert not list(tmp_path.glob("o.mcap*"))


def test_no_file_outside_of_the_bag_is_read(tmp_path: Path) -> None:
    bag = write_drive(tmp_path / "a", Messages(2))
    metadata = (bag / "metadata.yaml").read_text()
    (bag / "metadata.yaml").write_text(metadata.replace("a.db3", "../../../etc/hostname"))
    with pytest.raises(LogError, match="can't be read as a bag"):
        do(bag, tmp_path / "o.mcap")
    (bag / "metadata.yaml").write_text(metadata)
    (bag / "a.db3").rename(tmp_path / "moved.db3")
    (bag / "a.db3").symlink_to(tmp_path / "moved.db3")
    with pytest.raises(LogError, match="leads out of the folder"):
        do(bag, tmp_path / "o.mcap")
    with pytest.raises(LogError, match="no such bag"):
        do(tmp_path / "gone", tmp_path / "o.mcap")
