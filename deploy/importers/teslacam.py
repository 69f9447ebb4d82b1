"""A TeslaCam folder (RecentClips, or one event of SavedClips or SentryClips) made into a log.

    FOLDER/YYYY-MM-DD_HH-MM-SS-CAMERA.mp4

A car writes one file a minute and camera. Nothing in them says where the cameras are or how they
see, so without a rig both are assumed (docs/importing.md).
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

from calib.rig import Camera, Rig, load_rig
from deploy.errors import LogError
from deploy.importers.clips import Clip, VideoSummary, import_clips
from deploy.importers.recording import Gap, Progress, make_rig
from deploy.importers.source_folder import inside
from deploy.importers.video_file import VideoInfo, probe
from deploy.log import channels

# TeslaCam's name of each camera, and the camera of the rig that it is.
CAMERAS = {
    "front": "main",
    "left_pillar": "left_pillar",
    "right_pillar": "right_pillar",
    "left_repeater": "left_repeater",
    "right_repeater": "right_repeater",
    "back": "rear",
}
# File names have whole seconds and clips are a little longer or shorter than a minute: what is
# less than this apart was recorded without a break.
JOINED_S = 2.0

_NAME = re.compile(rf"(\d{{4}}-\d\d-\d\d_\d\d-\d\d-\d\d)-({'|'.join(CAMERAS)})\.mp4")


@dataclass
class TeslaCamSummary:
    """`unreadable`: clips that are no videos, with the reason."""

    videos: VideoSummary
    gaps: list[Gap]
    unreadable: list[str] = field(default_factory=list)


def import_teslacam(
    folder: Path, out: Path, progress: Progress, rig: Rig | None = None
) -> TeslaCamSummary:
    """Write the clips of `folder` to `out`, joined by the minute they were taken in.

    Stamps count from 1970 as if the times in the file names were UTC; they are the car's local
    time, which the name does not say the zone of. Clips that follow within JOINED_S are joined
    without a break; anything longer is a `Gap`. A clip that can't be read (cars leave such when
    they lose power) is left out and told. `rig` has the names of CAMERAS' values; without it
    `assumed_camera` is taken.

    Raises:
        LogError: there is no clip, none can be read, or a size is not the rig's.
        CalibError: the rig lacks a camera.
    """
    minutes, unreadable = _minutes(folder)
    if not minutes:
        why = f" ({unreadable[0]})" if unreadable else ""
        raise LogError(
            f"{folder}: no clip such as 2024-05-01_17-30-00-front.mp4 can be read there{why}; "
            "name the folder of one event"
        )
    clips: dict[str, list[Clip]] = defaultdict(list)
    gaps: list[Gap] = []
    end_ns: int | None = None
    for named_ns, files in sorted(minutes.items()):
        start_ns = named_ns
        if end_ns is not None:
            apart = (named_ns - end_ns) / 1e9
            if apart <= JOINED_S:
                start_ns = end_ns
            else:
                gaps.append(Gap(start_ns, apart))
        for camera, (path, info) in files.items():
            clips[camera].append(Clip(path, start_ns - info.first_ns, info))
        end_ns = start_ns + max(_length_ns(info) for _, info in files.values())
    names = [name for name in CAMERAS.values() if name in clips]
    infos = {name: clips[name][0].info for name in names}
    if rig is None:
        cameras = [assumed_camera(name, infos[name]) for name in names]
    else:
        cameras = [replace(rig[name], rate_hz=infos[name].rate_hz) for name in names]
    recorded = make_rig(folder, rig.name if rig else "teslacam-assumed", cameras)
    ordered = {name: clips[name] for name in names}
    videos = import_clips(ordered, recorded, out, progress, gaps)
    return TeslaCamSummary(videos, gaps, unreadable)


def assumed_camera(name: str, info: VideoInfo) -> Camera:
    """The camera of the built-in rig hw2, with its field of view across, at the video's size.

    Places, angles and focal lengths are that rig's guesses, for either generation of cameras:
    Tesla publishes none. The principal point is taken to be in the middle.
    """
    guess = load_rig("hw2")[name]
    focal = guess.lens.fx * info.width / guess.lens.width
    lens = replace(
        guess.lens,
        width=info.width,
        height=info.height,
        fx=focal,
        fy=focal,
        cx=(info.width - 1) / 2,
        cy=(info.height - 1) / 2,
    )
    bucket = channels.bucket_of_width(info.width)
    return Camera(name, lens, guess.ego_from_camera, info.rate_hz, bucket)


Minutes = dict[int, dict[str, tuple[Path, VideoInfo]]]


def _minutes(folder: Path) -> tuple[Minutes, list[str]]:
    """Readable clips by time and camera, and why the others are none."""
    if not folder.is_dir():
        raise LogError(f"{folder}: no such folder; name a folder of TeslaCam clips")
    minutes: Minutes = defaultdict(dict)
    unreadable = []
    for file in sorted(folder.iterdir()):
        match = _NAME.fullmatch(file.name)
        if not match:
            continue
        path = inside(folder, file.name)
        try:
            time = datetime.strptime(match[1], "%Y-%m-%d_%H-%M-%S").replace(tzinfo=timezone.utc)
            info = probe(path)
        except (LogError, ValueError) as error:
            unreadable.append(str(error))
            continue
        minutes[int(time.timestamp()) * 1_000_000_000][CAMERAS[match[2]]] = (path, info)
    return minutes, unreadable


def _length_ns(info: VideoInfo) -> int:
    return round(max(info.seconds, info.frames / info.rate_hz) * 1e9)
