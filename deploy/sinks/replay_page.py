"""One self-contained page of a replay: cameras, map, timelines, the slowest ticks."""

import base64
import json
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from calib.rig import Rig
from deploy.health.history import NO_RESULT
from deploy.loop.ego_map import EgoMap, GridSpec
from deploy.loop.pipeline import TickResult
from deploy.loop.timing import StageTimer
from deploy.sinks.mosaic import Mosaic
from deploy.sinks.palette import DRIVABLE, GROUND, OBJECTS, OTHER_OBJECT, Rgb, bgr
from deploy.sinks.replay_lanes import lanes
from deploy.sinks.video import VideoWriter
from perception.report.page import Section, table, tiles
from perception.report.page import write as write_page

VIDEO_WIDTH = 896
MAP_WIDTH = 600  # pixels of the canvas
SLOWEST = 8
_LEVELS = 8  # of drivable shares in the map's pictures: fewer make them small


@dataclass
class Tick:
    """What the page tells of one tick. `ms` by stage, without writing results."""

    index: int
    stamp_ns: int
    states: dict[str, str]
    ms: dict[str, float]
    objects: list[tuple[float, ...]]
    """Class, track (0: none), x, y, length, width in metres."""
    grid: str
    """Picture of the drivable ground, forward up: base64 of a png."""

    @property
    def total_ms(self) -> float:
        return sum(self.ms.values())


@dataclass
class ReplayPage:
    """Collects ticks; a sink, whose page is written at the end by `write`."""

    folder: Path
    rig: Rig
    grid: GridSpec
    timer: StageTimer
    ticks: list[Tick] = field(default_factory=list)

    def __enter__(self) -> "ReplayPage":
        self._mosaic = Mosaic(self.rig, self.grid)
        x, y, width, height = self._mosaic.cameras_area
        self._crop = np.s_[y : y + height, x : x + width]
        tall = round(VIDEO_WIDTH * height / width / 2) * 2
        rate = max(camera.rate_hz for camera in self.rig)
        self._path = self.folder / "page.mp4"
        options = {"preset": "medium", "crf": "27"}
        self._video = VideoWriter(self._path, (VIDEO_WIDTH, tall), rate, options)
        self._classes = {name: index for index, name in enumerate((*OBJECTS, "other"))}
        return self

    def __exit__(self, *error: object) -> None:
        self._video.close(finish=error[0] is None)

    def write(self, result: TickResult) -> None:
        """Take in one tick."""
        stamp = result.frames.stamp_ns
        picture = self._mosaic.draw(result)[self._crop]
        size = self._video.size
        self._video.write(
            np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA)), stamp
        )
        other = len(OBJECTS)
        self.ticks.append(
            Tick(
                index=result.frames.index,
                stamp_ns=stamp,
                states={name: _state(result, name) for name in self.rig.names},
                ms={
                    s: v * 1e3 for s, v in self.timer.current.items() if s not in ("sinks", "tick")
                },
                objects=[
                    (
                        self._classes.get(thing.label, other),
                        thing.motion.id if thing.motion else 0,
                        *(round(v, 2) for v in (thing.x, thing.y, *thing.size[:2])),
                    )
                    for thing in result.ego.objects
                ],
                grid=_picture(result.ego),
            )
        )

    def write_html(self, path: Path, content: dict[str, Any]) -> None:
        """Write the page. content: the report. Raises PerceptionError if it can't be written."""
        sections = [
            Section("At a glance", self._tiles(content)),
            Section("Drive", self._drive(), "Space plays and pauses, arrows go tick by tick."),
            Section(
                "Timeline",
                lanes(self.ticks, self.rig),
                "State of every camera, milliseconds of every tick (without drawing and writing "
                "results), objects on the map. Click anywhere to go there.",
            ),
            Section("Slowest ticks", self._slowest()),
            Section("Stages, milliseconds a tick", _stages(content)),
            Section("Run", _run(content)),
        ]
        here = Path(__file__).parent
        extra = (here / "replay_page.css").read_text(encoding="utf-8")
        script = (here / "replay_page.js").read_text(encoding="utf-8")
        sections[-1] = Section(
            sections[-1].title,
            sections[-1].html
            + f"<style>{extra}</style>"
            + f'<script id="data" type="application/json">{_json(self._data())}</script>'
            + f"<script>{script}</script>",
        )
        seconds = content["log"]["seconds"]
        cameras = f"{len(self.rig)} camera{'s' * (len(self.rig) != 1)}"
        clock = (
            "as fast as the machine goes"
            if content["clock"]["name"] == "lockstep"
            else (f"at {content['clock']['rate']:g} times its pace")
        )
        subtitle = (
            f"{cameras} of rig {self.rig.name}, {seconds:.1f} s, {clock}; "
            f"{content['model']['file']} in {content['model']['engine']}"
        )
        write_page(path, content["log"]["file"], sections, subtitle=subtitle)

    def _drive(self) -> str:
        video = base64.b64encode(self._path.read_bytes()).decode()
        height = round(
            MAP_WIDTH * (self.grid.x_max - self.grid.x_min) / (self.grid.y_max - self.grid.y_min)
        )
        legend = "".join(
            f'<li><i style="background:{_css(colour)}"></i>{escape(name)}</li>'
            for name, colour in (*OBJECTS.items(), ("drivable", DRIVABLE), ("other ground", GROUND))
        )
        return (
            '<div class="drive"><figure><video muted playsinline preload="auto" '
            f'src="data:video/mp4;base64,{video}"></video>'
            '<p class="sorry">This browser can\'t play H.264 video; the map and the timeline work '
            "without it.</p></figure>"
            f'<figure><canvas width="{MAP_WIDTH}" height="{height}" role="img" '
            'aria-label="Map from above, forward is up"></canvas></figure></div>'
            '<div class="player"><button id="play">Play</button>'
            '<input id="at" type="range" min="0" max="1" step="any" value="0" aria-label="Time">'
            '<select id="rate" aria-label="Speed">'
            + "".join(
                f"<option value={r}{' selected' * (r == 1)}>{r:g}x</option>"
                for r in (0.1, 0.25, 0.5, 1, 2)
            )
            + f'</select></div><p class="now" id="now"></p><ul class="legend">{legend}</ul>'
        )

    def _data(self) -> dict[str, Any]:
        zero = self.ticks[0].stamp_ns
        return {
            "classes": [
                {"name": name, "colour": _css(OBJECTS.get(name, OTHER_OBJECT))}
                for name in self._classes
            ],
            "map": {
                "x": [self.grid.x_min, self.grid.x_max],
                "y": [self.grid.y_min, self.grid.y_max],
            },
            "ticks": [
                {
                    "index": tick.index,
                    "t": round((tick.stamp_ns - zero) / 1e9, 4),
                    "ms": round(tick.total_ms, 2),
                    "unwell": {n: s for n, s in tick.states.items() if s != "ok"},
                    "objects": tick.objects,
                    "grid": tick.grid,
                }
                for tick in self.ticks
            ],
        }

    def _tiles(self, content: dict[str, Any]) -> str:
        total = sorted(tick.total_ms for tick in self.ticks)
        frames = sum(len(tick.states) for tick in self.ticks)
        usable = content["frames"]["usable"]
        unwell = [
            name for name in self.rig.names if any(tick.states[name] != "ok" for tick in self.ticks)
        ]
        tracks = {name: one["tracks"] for name, one in content["objects"].items()}
        dropped = content["clock"]["dropped"]
        return tiles(
            [
                ("ticks", f"{len(self.ticks):,}", f"{dropped} dropped"),
                ("median tick", f"{total[len(total) // 2]:.0f} ms", "without writing results"),
                (
                    "slowest tick",
                    f"{total[-1]:.0f} ms",
                    f"{total[-1] / total[len(total) // 2]:.1f} times the median",
                ),
                ("frames used", f"{usable / frames:.1%}", f"{usable:,} of {frames:,}"),
                ("cameras with trouble", str(len(unwell)), ", ".join(unwell) or "none"),
                (
                    "objects followed",
                    f"{sum(tracks.values()):,}",
                    ", ".join(f"{n} {k}s" for k, n in tracks.items()),
                ),
            ]
        )

    def _slowest(self) -> str:
        zero = self.ticks[0].stamp_ns
        slowest = sorted(self.ticks, key=lambda tick: -tick.total_ms)[:SLOWEST]
        stages = list(self.ticks[0].ms)
        head = "".join(
            f"<th>{escape(s.replace('_', ' '))}</th>" for s in ("tick", "time", "ms", *stages)
        )
        body = ""
        for tick in slowest:
            t = (tick.stamp_ns - zero) / 1e9
            cells = "".join(f"<td>{tick.ms.get(stage, 0.0):.1f}</td>" for stage in stages)
            body += (
                f'<tr><td><button data-t="{t:.4f}">{tick.index}</button></td>'
                f"<td>{t:.2f} s</td><td><b>{tick.total_ms:.1f}</b></td>{cells}</tr>"
            )
        return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _state(result: TickResult, name: str) -> str:
    """What the camera is found to be; a frame that is not ok before that, by what it is."""
    if name in result.failed:
        return NO_RESULT
    status = result.frames.frames[name].status
    health = result.health.get(name)
    return status if health is None or health.state == "ok" != status else health.state


def _picture(ego: EgoMap) -> str:
    """Half the grid's resolution, forward up and left at the left, unknown transparent."""
    cells = np.where(ego.seen, np.rint(ego.drivable * (_LEVELS - 1)) / (_LEVELS - 1), 0)[::2, ::2]
    mix = cells[..., None]
    image = np.empty((*cells.shape, 4), np.uint8)
    image[..., :3] = np.rint(mix * bgr(DRIVABLE) + (1 - mix) * bgr(GROUND))
    image[..., 3] = np.where(ego.seen[::2, ::2], 200, 0)
    image[image[..., 3] == 0] = 0
    upright = np.ascontiguousarray(image.transpose(1, 0, 2)[::-1, ::-1])
    _, data = cv2.imencode(".png", upright, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return base64.b64encode(data.tobytes()).decode()


def _stages(content: dict[str, Any]) -> str:
    columns = ("p50", "p90", "p99", "max")
    return table(
        ("stage", *columns),
        [
            (stage.replace("_", " "), *(f"{values[c]:.1f}" for c in columns))
            for stage, values in content["latency_ms"].items()
        ],
    )


def _run(content: dict[str, Any]) -> str:
    facts = {
        "model": f"{content['model']['file']}, preset {content['model']['preset']}",
        "spec": content["model"]["spec_hash"][:12],
        **content["machine"],
        "made": content["created"],
    }
    rows = "".join(
        f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(_shown(value))}</dd>"
        for name, value in facts.items()
    )
    return f'<dl class="facts">{rows}</dl>'


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _json(content: dict[str, Any]) -> str:
    """JSON that can't end the script that it is in."""
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


def _css(colour: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
