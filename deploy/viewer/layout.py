"""Where everything is in the viewer: cameras as they look around the car, maps, timelines."""

import math
from collections.abc import Mapping
from typing import Any

import rerun.blueprint as rrb

from calib.rig import Rig
from deploy.log import channels
from deploy.sinks.palette import BACKGROUND

_SIDE = ("ego/drivable", "ego/objects", "ego/truth", "ego/vehicle")


def blueprint(rig: Rig, topics: Mapping[str, str]) -> Any:
    """The layout for the cameras of `rig` and what a log with these topics has to show."""
    cameras = rrb.Grid(
        *(
            rrb.Spatial2DView(origin=f"ego/{name}/image", contents="$origin/**", name=name)
            for name in rig.names
        ),
        name="Cameras",
        grid_columns=math.ceil(math.sqrt(len(rig))),
    )
    above = rrb.Spatial3DView(
        origin="ego",
        contents=[f"+ {entity}" for entity in _SIDE],
        name="Map from above",
        background=list(BACKGROUND),
        eye_controls=rrb.EyeControls3D(
            position=[10.0, 0.0, 55.0], look_target=[10.0, 0.0, 0.0], eye_up=[1.0, 0.0, 0.0]
        ),
    )
    around = rrb.Spatial3DView(
        origin="ego",
        contents="$origin/**",
        name="Rig and map",
        background=list(BACKGROUND),
        eye_controls=rrb.EyeControls3D(position=[-16.0, 0.0, 11.0], look_target=[8.0, 0.0, 0.0]),
    )
    timelines: list[Any] = []
    if channels.HEALTH in topics:
        timelines.append(rrb.StateTimelineView(origin="health", name="Health of the cameras"))
    if channels.TIMING in topics:
        timelines.append(rrb.TimeSeriesView(origin="latency", name="Milliseconds a tick"))
    if channels.OBJECTS in topics:
        timelines.append(rrb.TimeSeriesView(origin="count", name="Objects on the map"))
    rows: list[Any] = [
        rrb.Horizontal(cameras, rrb.Vertical(around, above), column_shares=[5, 3]),
    ]
    if timelines:
        rows.append(rrb.Horizontal(*timelines))
    return rrb.Blueprint(
        rrb.Vertical(*rows, row_shares=[5, 2][: len(rows)]),
        rrb.TimePanel(timeline="time", state="collapsed"),
        auto_views=False,
        collapse_panels=True,
    )
