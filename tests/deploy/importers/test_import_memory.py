"""A recording larger than the memory that an import may take is imported all the same. TeslaCam and
openpilot go the way of videos."""

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from deploy.log.reader import LogReader

ROOT = Path(__file__).resolve().parents[3]
MIB = 1 << 20
ALLOWED = 96 * MIB
RECORDED = 200 * MIB

LIMITED = """
import resource, sys
from pathlib import Path
from deploy.importers.rosbag import import_rosbag
from deploy.importers.video import import_videos
from calib.rig import load_rig

source, out, allowed, recorded = Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:])
status = Path("/proc/self/status").read_text().splitlines()
taken = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData:"))
resource.setrlimit(resource.RLIMIT_DATA, (taken + allowed, taken + allowed))
try:
    bytearray(recorded)
except MemoryError:
    pass
else:
    raise SystemExit("the limit does not hold")
if source.suffix == ".bag":
    import_rosbag(source, out, lambda *_: None, load_rig("hw2"))
else:
    import_videos({"main": source}, out, lambda *_: None)
"""


def import_within_limit(source: Path, out: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(source), str(out), str(ALLOWED), str(RECORDED)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_a_bag(tmp_path: Path) -> None:
    pytest.importorskip("rosbags")
    from rosbags.rosbag1 import Writer

    from tests.deploy.importers.test_rosbag import T0, Messages

    messages, path = Messages(1), tmp_path / "long.bag"
    count = RECORDED // MIB
    noise = np.random.default_rng(0).bytes(MIB)
    with Writer(path) as writer:
        kind = "sensor_msgs/msg/CompressedImage"
        topic = writer.add_connection("/main/image/compressed", kind, typestore=messages.store)
        for number in range(count):
            data = b"\xff\xd8\xff" + number.to_bytes(4, "big") + noise
            message = messages.compressed("main", T0 + number * 100_000_000, data)
            raw = messages.store.serialize_ros1(message, kind)
            writer.write(topic, T0 + number * 100_000_000, raw)
    out = tmp_path / "o.mcap"
    import_within_limit(path, out)
    assert out.stat().st_size > RECORDED > 2 * ALLOWED
    numbers = [int.from_bytes(image.data[3:7], "big") for image in LogReader(out).images()]
    assert numbers == list(range(count))


def test_a_video(tmp_path: Path) -> None:
    """Decoded frames are 3.7 MB each, their JPEGs of noise 2 MB."""
    path, count = tmp_path / "long.mp4", 110
    noise = np.random.default_rng(0).integers(0, 256, (960, 1280, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 1280, 960, "yuv420p"
        stream.bit_rate = 400_000_000
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(np.roll(noise, 64 * number, 1), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    out = tmp_path / "o.mcap"
    import_within_limit(path, out)
    assert sum(1 for _ in LogReader(out).images()) == count
    assert out.stat().st_size > 1.2 * ALLOWED and count * noise.nbytes > RECORDED
