"""What class names mean in the formats where everybody chooses their own: COCO and YOLO."""

from collections.abc import Iterable

from perception.data.boxes import IGNORED
from perception.data.riders import MACHINE, RIDER
from perception.errors import DatasetError
from perception.taxonomy import OBJECT_CLASSES

_NAMES: dict[str | None, set[str]] = {
    "vehicle": {"vehicle", "car", "truck", "bus", "van", "train", "tram", "caravan"},
    "pedestrian": {"pedestrian", "person"},
    "cyclist": {"cyclist", "bicyclist", "motorcyclist"},
    RIDER: {"rider"},
    MACHINE: {"bicycle", "bike", "motorcycle", "motorbike", "motor", "scooter"},
    # Background: stands at the road and certainly is none of ours.
    None: {"traffic light", "traffic sign", "stop sign", "traffic cone"}
    | {"fire hydrant", "parking meter", "bench"},
}
_KIND_OF_NAME = {name: kind for kind, names in _NAMES.items() for name in names}


def kinds_of(names: Iterable[str], where: str) -> list[str | None]:
    """For each name the kind of its boxes: an object class, RIDER, MACHINE, IGNORED, or None for
    background. Case, `_` and `-` do not matter.

    An unknown name may mean one of ours in other words, so it is IGNORED and not background.
    Raises DatasetError, beginning with `where`, if no name means an object of ours.
    """
    names = list(names)
    plain = (name.strip().lower().replace("_", " ").replace("-", " ") for name in names)
    kinds = [_KIND_OF_NAME.get(name, IGNORED) for name in plain]
    if not {*OBJECT_CLASSES, RIDER} & set(kinds):
        raise DatasetError(
            f"{where}: none of its classes ({', '.join(names[:10])}) is an object of ours; name "
            f"them {', '.join(OBJECT_CLASSES)}"
        )
    return kinds


def mark_riders(kinds: Iterable[str | None]) -> bool:
    """Whether classes of these kinds tell people who ride from those who walk."""
    return not {"cyclist", RIDER}.isdisjoint(kinds)
