"""Topic names, frame names and metadata keys of a log: written here once (docs/logs.md)."""

import re

EGO_FRAME = "ego"
MAP_FRAME = "map"  # stands still; where it is and how it is turned, the recording chose

TRANSFORMS = "/tf"
OBJECTS = "/perception/objects"
DRIVABLE = "/perception/drivable"
SURROUND = "/perception/surround"
HEALTH = "/perception/health"
TIMING = "/perception/timing"
DIAGNOSTICS = "/diagnostics"
GAP = "/import/gap"
TRUTH_OBJECTS = "/truth/objects"
TRUTH_DRIVABLE = "/truth/drivable"

# Channel metadata that Foxglove's schemas have no field for.
META_BUCKET = "bucket"
META_RATE_HZ = "rate_hz"
META_RIG = "rig"

# Width in pixels from which on a camera whose bucket nobody stated feeds the large one.
_LARGE_WIDTH = 960

_CAMERA_TOPIC = re.compile(r"^/camera/([^/]+)/(image|calibration|annotations)$")


def image_topic(camera: str) -> str:
    """foxglove.CompressedImage."""
    return f"/camera/{camera}/image"


def calibration_topic(camera: str) -> str:
    """foxglove.CameraCalibration."""
    return f"/camera/{camera}/calibration"


def annotations_topic(camera: str) -> str:
    """foxglove.ImageAnnotations."""
    return f"/camera/{camera}/annotations"


def truth_scene_topic(camera: str) -> str:
    """foxglove.CompressedImage: a png of scene class indices, from the simulator only."""
    return f"/truth/{camera}/scene"


def is_truth(topic: str) -> bool:
    """Whether the topic holds truth (never an input of the loop)."""
    return topic.startswith("/truth/")


def camera_name(topic: str, frame_id: str) -> str:
    """Camera that a message belongs to: by our topic names, else by its frame, else the topic."""
    ours = _CAMERA_TOPIC.match(topic)
    name = ours.group(1) if ours else frame_id or topic
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name.strip("/"))


def bucket_of_width(width: int) -> str:
    """Bucket of a camera whose bucket nobody stated, by its image width in pixels."""
    return "large" if width >= _LARGE_WIDTH else "small"
