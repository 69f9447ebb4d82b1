"""Camera files of openpilot (comma's driver assistance) made into a log.

    FOLDER/ROUTE--SEGMENT/fcamera.hevc, ecamera.hevc     one folder a minute, or FOLDER is one

Raw HEVC at 20 frames a second, without times. The camera that films the driver (dcamera.hevc)
sees no road and is left out. Focal lengths are the constants of openpilot's
common/transformations/camera.py (commaai/openpilot); it takes both lenses for pinholes with the
principal point in the middle.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from calib.lens import Lens
from calib.pose import ego_from_camera
from calib.rig import Camera, Rig
from deploy.errors import LogError
from deploy.importers.clips import Clip, VideoSummary, import_clips
from deploy.importers.recording import Progress, make_rig
from deploy.importers.source_folder import inside
from deploy.importers.video_file import probe
from deploy.log import channels

RATE_HZ = 20.0
SEGMENT_S = 60
# File, and camera of the rig: the road ahead, and the same wider.
FILES = {"fcamera.hevc": "main", "ecamera.hevc": "wide"}
# Focal length in pixels by image size; (main, wide).
FOCAL: Mapping[tuple[int, int], dict[str, float]] = {
    (1928, 1208): {"main": 2648.0, "wide": 567.0},  # comma 3, 3X
    (1344, 760): {"main": 1522.0 * 3 / 4, "wide": 567.0 / 4 * 3},  # comma four
    (1164, 874): {"main": 910.0},  # EON, comma two
}
# Above the road, where openpilot's own calibration starts; how far in front of the rear axle the
# windscreen is, is a guess.
HEIGHT_M, AHEAD_M = 1.22, 1.9

_SEGMENT = re.compile(r"(.*)--(\d+)")


def import_openpilot(
    folder: Path, out: Path, progress: Progress, rig: Rig | None = None
) -> VideoSummary:
    """Write the road cameras of one route to `out`; stamps start at 0, where segment 0 does.

    Without a `rig` (cameras main and wide) the cameras look straight ahead, level: openpilot
    learns the true angles while driving and keeps them in another file.

    Raises:
        LogError: no camera file, several routes, a damaged file, or an unknown image size.
        CalibError: the rig lacks a camera.
    """
    segments = _segments(folder)
    clips: dict[str, list[Clip]] = {}
    for file, camera in FILES.items():
        found = []
        for number, segment in sorted(segments.items()):
            path = inside(folder, str((segment / file).relative_to(folder)))
            if path.exists():
                info = probe(path, RATE_HZ)
                found.append(Clip(path, number * SEGMENT_S * 1_000_000_000, info, RATE_HZ))
        if found:
            clips[camera] = found
    if not clips:
        raise LogError(f"{folder}: no {' or '.join(FILES)} there; name a route or a segment")
    cameras = [
        replace(rig[name], rate_hz=RATE_HZ) if rig else _camera(name, files[0])
        for name, files in clips.items()
    ]
    return import_clips(clips, make_rig(folder, folder.name, cameras), out, progress)


def _segments(folder: Path) -> dict[int, Path]:
    """Folder of each segment by its number."""
    if not folder.is_dir():
        raise LogError(f"{folder}: no such folder; name a route or a segment")
    if any((folder / file).exists() for file in FILES):
        match = _SEGMENT.fullmatch(folder.resolve().name)
        return {int(match[2]) if match else 0: folder}
    found = [(m, p) for p in folder.iterdir() if (m := _SEGMENT.fullmatch(p.name))]
    routes = sorted({match[1] for match, _ in found})
    if len(routes) > 1:
        raise LogError(
            f"{folder}: {len(routes)} routes ({routes[0]}, ...); move one to a folder of its own"
        )
    return {int(match[2]): path for match, path in found}


def _camera(name: str, clip: Clip) -> Camera:
    size = clip.info.width, clip.info.height
    focal = FOCAL.get(size, {}).get(name)
    if focal is None:
        known = ", ".join(f"{w}x{h}" for (w, h), one in FOCAL.items() if name in one)
        raise LogError(
            f"{clip.path}: frames are {size[0]}x{size[1]}, and openpilot's are {known}; give --rig"
        )
    lens = Lens("pinhole", *size, focal, focal, (size[0] - 1) / 2, (size[1] - 1) / 2)
    pose = ego_from_camera([AHEAD_M, 0, HEIGHT_M], yaw=0, pitch=0, roll=0)
    return Camera(name, lens, pose, RATE_HZ, channels.bucket_of_width(size[0]))
