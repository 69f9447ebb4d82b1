"""Video files, one for each camera, made into a log: frames are decoded and stored as JPEG."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from calib.lens import Lens
from calib.pose import ego_from_camera
from calib.rig import Camera, Rig
from deploy.errors import LogError
from deploy.importers.clips import Clip, VideoSummary, import_clips
from deploy.importers.recording import Progress
from deploy.importers.video_file import probe
from deploy.log import channels

DEFAULT_CAMERA = "main"
DEFAULT_HFOV_DEG = 60.0
DEFAULT_HEIGHT_M = 1.3


def import_videos(
    videos: Mapping[str, Path],
    out: Path,
    progress: Progress,
    rig: Rig | None = None,
    hfov_deg: float = DEFAULT_HFOV_DEG,
) -> VideoSummary:
    """Write the frames of `videos` (camera name -> file) to `out`, in order of time.

    Stamps are the presentation times in the files, moved so that the earliest is 0: files that
    were cut together stay in step. A frame that does not decode is left out and counted. Without
    a `rig` there may be one camera, `forward_camera`.

    Raises:
        LogError: a file is not a video, or its frames have not the size in the rig.
        CalibError: the rig lacks one of the cameras.
    """
    if rig is None and len(videos) > 1:
        raise LogError(f"{len(videos)} videos and no rig; give --rig to say where the cameras are")
    found = {name: probe(path) for name, path in videos.items()}
    cameras = []
    for name, info in found.items():
        if rig is None:
            camera = forward_camera(name, info.width, info.height, info.rate_hz, hfov_deg)
        else:
            camera = replace(rig[name], rate_hz=info.rate_hz)
        cameras.append(camera)
    recorded = Rig(rig.name if rig else next(iter(videos.values())).stem, tuple(cameras))
    zero_ns = min(info.first_ns for info in found.values())
    clips = {name: [Clip(path, -zero_ns, found[name])] for name, path in videos.items()}
    return import_clips(clips, recorded, out, progress)


def forward_camera(
    name: str, width: int, height: int, rate_hz: float, hfov_deg: float = DEFAULT_HFOV_DEG
) -> Camera:
    """The camera that is assumed for a video without calibration.

    A pinhole without distortion, `hfov_deg` wide, level and looking straight ahead from
    DEFAULT_HEIGHT_M above the origin of the ego frame: about a dashboard camera in a car.
    """
    if not 1 <= hfov_deg <= 170:
        raise LogError(f"horizontal field of view is {hfov_deg} degrees; give 1 to 170")
    focal = width / 2 / math.tan(math.radians(hfov_deg) / 2)
    lens = Lens("pinhole", width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
    pose = ego_from_camera([0, 0, DEFAULT_HEIGHT_M], yaw=0, pitch=0, roll=0)
    return Camera(name, lens, pose, rate_hz, channels.bucket_of_width(width))
