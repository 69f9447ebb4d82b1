"""Riders and the machines under them, boxed apart, made into cyclists.

A cyclist of ours is a person together with the bicycle or motorcycle that they ride, in one box,
as CamVid draws and the synthetic world renders them. A machine alone is none.
"""

from collections.abc import Iterable

from perception.data.boxes import IGNORED, Box

RIDER, MACHINE = "rider", "machine"
"""Kinds of boxes that `join_riders` resolves."""

_TOUCH = 0.1
"""A person of whom this part of the box is shared with a machine may be riding it."""


def join_riders(boxes: Iterable[Box], riders_are_marked: bool = True) -> list[Box]:
    """The boxes with each rider joined with the machine that it overlaps most: a cyclist.

    Machines that are left are ignored. If the dataset does not mark riders, a pedestrian at a
    machine may be one, and is ignored too.
    """
    boxes = list(boxes)
    riders = [box for box in boxes if box.kind == RIDER]
    machines = [box for box in boxes if box.kind == MACHINE]
    others = [box for box in boxes if box.kind not in (RIDER, MACHINE)]
    if not riders_are_marked:
        others = [_unsure(box, machines) if box.kind == "pedestrian" else box for box in others]
    cyclists = []
    for rider in riders:
        under = max(machines, key=lambda machine: _overlap(rider, machine), default=None)
        if under is not None and _overlap(rider, under) > 0:
            machines.remove(under)
            rider = _around(rider, under)
        cyclists.append(rider._replace(kind="cyclist"))
    return others + cyclists + [machine._replace(kind=IGNORED) for machine in machines]


def _unsure(person: Box, machines: Iterable[Box]) -> Box:
    area = _overlap(person, person)
    touches = any(_overlap(person, machine) > _TOUCH * area for machine in machines)
    return person._replace(kind=IGNORED) if touches else person


def _around(one: Box, other: Box) -> Box:
    return one._replace(
        x0=min(one.x0, other.x0),
        y0=min(one.y0, other.y0),
        x1=max(one.x1, other.x1),
        y1=max(one.y1, other.y1),
    )


def _overlap(one: Box, other: Box) -> float:
    """Area in both, pixels."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return max(width, 0.0) * max(height, 0.0)
