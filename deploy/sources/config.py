"""The file of a run: where the images of every camera come from (docs/live.md)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from calib.rig import Rig, load_rig
from calib.yaml_file import YamlError, load_yaml
from deploy.errors import SourceError
from deploy.loop.clock import SteadyClock
from deploy.sources.recorded import FolderSource, LogSource, Playback, VideoSource
from deploy.sources.source import Source
from deploy.sources.stream import gstreamer_camera, rtsp_camera, v4l2_camera

KINDS = ("gstreamer", "v4l2", "rtsp", "video", "images")
DEADLINE_MS = 100.0


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class CameraEntry(_Entry):
    """One camera: exactly one of KINDS, and what belongs to it."""

    gstreamer: str | None = None
    v4l2: str | None = None
    options: dict[str, str] = {}  # of v4l2
    rtsp: Annotated[str, Field(pattern="^rtsps?://")] | None = None
    video: str | None = None
    images: str | None = None
    rate_hz: Annotated[float, Field(gt=0, le=1000)] | None = None  # of images; else the rig's
    loop: bool = False  # of video and images


class RunEntry(_Entry):
    """The whole file."""

    rig: str
    cameras: Annotated[dict[str, CameraEntry], Field(min_length=1)]
    deadline_ms: Annotated[float, Field(gt=0)] = DEADLINE_MS
    version: Literal[1] = 1


@dataclass(frozen=True)
class Run:
    """What a run needs: cameras, where their images come from, and by when a result is due."""

    rig: Rig
    sources: list[Source]
    clock: SteadyClock
    deadline_ms: float


def open_run(path: Path, rate: float = 1.0) -> Run:
    """A run of a YAML file, or of a log (`.mcap`) as if its cameras were live. Recordings pass at
    `rate` times their own speed.

    Raises SourceError, LogError or RigError, one line, for what is wrong in it.
    """
    clock = SteadyClock()
    playback = Playback(clock, rate)
    if path.suffix == ".mcap":
        log = LogSource(path, playback)
        return Run(log.rig, [log], clock, DEADLINE_MS)
    entry = _read(path)
    name = entry.rig if entry.rig == "hw2" else str(path.parent / entry.rig)
    rig = load_rig(name)
    missing = [camera for camera in rig.names if camera not in entry.cameras]
    if missing:
        raise SourceError(f"{path}: no source for {', '.join(missing)} of rig '{rig.name}'")
    unknown = [camera for camera in entry.cameras if camera not in rig.names]
    if unknown:
        raise SourceError(f"{path}: rig '{rig.name}' has no camera {', '.join(unknown)}")
    sources = [_source(path, rig, name, entry.cameras[name], clock, playback) for name in rig.names]
    return Run(rig, sources, clock, entry.deadline_ms)


def _read(path: Path) -> RunEntry:
    try:
        return RunEntry.model_validate(load_yaml(path))
    except FileNotFoundError as error:
        raise SourceError(f"{path}: no such file; name a .yaml file or a .mcap log") from error
    except OSError as error:
        raise SourceError(f"{path}: can't be read ({error.strerror}); check the path") from error
    except YamlError as error:
        raise SourceError(f"{path}: not valid YAML: {error}; correct it") from error
    except ValidationError as error:
        first: dict[str, Any] = dict(error.errors()[0])
        where = ".".join(str(key) for key in first["loc"]) or "it"
        value = repr(first["input"])[:60]
        raise SourceError(f"{path}: {where} is {value}: {first['msg']}; correct it") from error


def _source(
    path: Path,
    rig: Rig,
    camera: str,
    entry: CameraEntry,
    clock: SteadyClock,
    playback: Playback,
) -> Source:
    given = [kind for kind in KINDS if getattr(entry, kind) is not None]
    if len(given) != 1:
        raise SourceError(
            f"{path}: camera '{camera}' has {', '.join(given) or 'no source'}; "
            f"give one of {', '.join(KINDS)}"
        )
    if entry.gstreamer is not None:
        return gstreamer_camera(camera, entry.gstreamer, clock)
    if entry.v4l2 is not None:
        return v4l2_camera(camera, entry.v4l2, entry.options, clock)
    if entry.rtsp is not None:
        return rtsp_camera(camera, entry.rtsp, clock)
    if entry.video is not None:
        return VideoSource(camera, path.parent / entry.video, playback, entry.loop)
    rate_hz = entry.rate_hz or rig[camera].rate_hz
    folder = path.parent / (entry.images or "")
    return FolderSource(camera, folder, rate_hz, playback, entry.loop)
