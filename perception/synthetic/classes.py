"""Scene classes by name, as indices into the taxonomy."""

from perception.taxonomy import SCENE_CLASSES

(
    DRIVABLE,
    PAVEMENT,
    TERRAIN,
    BUILDING,
    FENCE,
    POLE,
    SIGN,
    VEGETATION,
    SKY,
    VEHICLE,
    PEDESTRIAN,
    CYCLIST,
) = (
    SCENE_CLASSES.index(name)
    for name in (
        "drivable",
        "pavement",
        "terrain",
        "building",
        "fence",
        "pole",
        "sign",
        "vegetation",
        "sky",
        "vehicle",
        "pedestrian",
        "cyclist",
    )
)
