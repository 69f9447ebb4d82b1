"""Videos of several cameras, each in one or more clips, merged by time into a log."""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from av.video.frame import VideoFrame

from calib.lens import Lens
from calib.rig import Rig
from deploy.errors import LogError
from deploy.importers.recording import Event, Gap, Picture, Progress, to_jpeg, write_recording
from deploy.importers.video_file import VideoInfo, frames_of, shown_size, upright


@dataclass(frozen=True)
class Clip:
    """One file of one camera. `start_ns`: stamp of its time zero. `rate_hz`: for a raw stream,
    whose frames carry no times."""

    path: Path
    start_ns: int
    info: VideoInfo
    rate_hz: float | None = None


@dataclass
class VideoSummary:
    """Images written and pieces lost to damage, by camera."""

    images: Counter[str] = field(default_factory=Counter)
    damaged: Counter[str] = field(default_factory=Counter)


def import_clips(
    clips: Mapping[str, Sequence[Clip]],
    rig: Rig,
    out: Path,
    progress: Progress,
    gaps: Iterable[Gap] = (),
) -> VideoSummary:
    """Write the frames of `clips` (by camera, in order of time) to `out` as JPEG.

    One file of each camera is open at a time. A frame that does not decode is left out and
    counted.

    Raises:
        LogError: a file is not a video, or its frames have not the size in the rig.
    """
    summary = VideoSummary()
    streams: list[Iterable[Event]] = [
        _pictures(name, files, rig[name].lens, summary) for name, files in clips.items()
    ]
    start_ns = min(files[0].start_ns + files[0].info.first_ns for files in clips.values())
    total = sum(clip.info.frames for files in clips.values() for clip in files)
    merged = heapq.merge(gaps, *streams, key=lambda event: event.stamp_ns)
    summary.images = write_recording(out, rig, max(0, start_ns), merged, total, progress)
    return summary


def _pictures(
    camera: str, clips: Sequence[Clip], lens: Lens, summary: VideoSummary
) -> Iterator[Picture]:
    def damaged() -> None:
        summary.damaged[camera] += 1

    for clip in clips:
        for time_ns, frame in frames_of(clip.path, clip.rate_hz, damaged):
            width, height = shown_size(frame)
            if (width, height) != (lens.width, lens.height):
                raise LogError(
                    f"{clip.path}: frame is {width}x{height}, but camera '{camera}' of the rig is"
                    f" {lens.width}x{lens.height}; calibrate for the size of the video"
                )
            # Files with times that run backwards exist; a stamp can't be before the log.
            stamp_ns = max(0, clip.start_ns + time_ns)
            yield Picture(camera, stamp_ns, partial(_jpeg, frame), "jpeg")


def _jpeg(frame: VideoFrame) -> bytes:
    return to_jpeg(upright(frame))
