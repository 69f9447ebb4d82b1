"""ModelSpec: every fact that a network and its users must agree on, written once.

The spec travels inside each artefact (safetensors header, ONNX metadata) and its hash is
checked when an engine loads, so preprocessing and weights cannot drift apart.
Imports no torch: machines that only run artefacts read it too.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from perception.errors import SpecError
from perception.taxonomy import OBJECT_CLASSES, SCENE_CLASSES

SPEC_KEY = "octoview.spec"
"""Metadata key of an artefact under which its spec's JSON stands."""
SPEC_HASH_KEY = "octoview.spec_hash"
"""Metadata key under which the hash of that JSON stands."""
QUANTISATION_KEY = "octoview.quantisation"
"""Metadata key of an INT8 artefact under which JSON of how it was quantised stands."""
CHECKSUM_KEY = "octoview.sha256"
"""Metadata key under which the SHA-256 of all else stands: a weight that a bad disk changed is as
good a number as any."""
TRAINED_ON_KEY = "octoview.trained_on"
"""Metadata key under which the fingerprints of all training images stand, end to end."""

_Positive = Annotated[float, Field(gt=0)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TensorSpec(_Frozen):
    """One named tensor. A string in `shape` is an axis whose size varies."""

    name: str
    shape: tuple[int | str, ...]
    dtype: Literal["float32", "int64"]
    unit: str


class Bucket(_Frozen):
    """Network input size in pixels of all cameras that name this bucket; each side a
    multiple of the network's output stride."""

    width: int = Field(gt=0, le=16_384)
    height: int = Field(gt=0, le=16_384)


class ModelSpec(_Frozen):
    """What goes in, what comes out, and what it means.

    Images are letterboxed into their bucket (aspect kept, centred, padded with `mean`),
    resized with `interpolation`, put in `colour_order`, scaled to 0..1, then normalised
    as (x - mean) / std. With `frames` = 2 the previous frame's channels come first.
    """

    preset: str
    width_multiplier: float = Field(gt=0, le=16)
    decoder_channels: int = Field(gt=0, le=4096)
    frames: Literal[1, 2] = 1
    buckets: dict[str, Bucket]
    colour_order: Literal["RGB"] = "RGB"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[_Positive, _Positive, _Positive] = (0.229, 0.224, 0.225)
    interpolation: Literal["linear"] = "linear"
    scene_classes: tuple[str, ...] = SCENE_CLASSES
    object_classes: tuple[str, ...] = OBJECT_CLASSES
    output_stride: int = Field(default=4, gt=0)
    top_k: int = Field(default=64, gt=0, le=4096)
    score_threshold: float = Field(default=0.3, gt=0, lt=1)

    @model_validator(mode="after")
    def _sides_divide(self) -> "ModelSpec":
        for name, bucket in self.buckets.items():
            if bucket.width % self.output_stride or bucket.height % self.output_stride:
                raise ValueError(
                    f"bucket {name} is {bucket.width}x{bucket.height}; both sides must be "
                    f"multiples of {self.output_stride}"
                )
        return self

    @property
    def input(self) -> TensorSpec:
        return TensorSpec(
            name="images",
            shape=("batch", 3 * self.frames, "height", "width"),
            dtype="float32",
            unit="normalised colour",
        )

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """`scene`: class logits at `output_stride`. The rest: the `top_k` best objects by
        falling score; `boxes` are x0, y0, x1, y1 and `ground_points` the projection of the
        object's footprint centre, both in pixels of the network's input (x right, y down,
        pixel centres at integers)."""
        rows = f"height/{self.output_stride}"
        columns = f"width/{self.output_stride}"
        k = self.top_k
        return (
            TensorSpec(
                name="scene",
                shape=("batch", len(self.scene_classes), rows, columns),
                dtype="float32",
                unit="logit",
            ),
            TensorSpec(name="boxes", shape=("batch", k, 4), dtype="float32", unit="pixel"),
            TensorSpec(name="scores", shape=("batch", k), dtype="float32", unit="probability"),
            TensorSpec(name="labels", shape=("batch", k), dtype="int64", unit="object class"),
            TensorSpec(name="ground_points", shape=("batch", k, 2), dtype="float32", unit="pixel"),
        )

    def bucket(self, name: str) -> Bucket:
        """Size of the named bucket. Raises SpecError for an unknown name."""
        if name not in self.buckets:
            raise SpecError(
                f"bucket '{name}' is not in model '{self.preset}', which has "
                f"{', '.join(self.buckets)}; correct the rig's camera"
            )
        return self.buckets[name]

    def to_json(self) -> str:
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "ModelSpec":
        """Raises SpecError when the text is not a valid spec."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "spec"
            raise SpecError(
                f"model spec: {where}: {first['msg']}; export the model again"
            ) from error

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "ModelSpec":
        """The spec that an artefact carries. Raises SpecError without one or when its hash
        differs."""
        if SPEC_KEY not in metadata:
            raise SpecError(
                f"has no '{SPEC_KEY}' in its metadata; use a model made by `octoview export`"
            )
        spec = cls.from_json(metadata[SPEC_KEY])
        if spec.hash != metadata.get(SPEC_HASH_KEY):
            raise SpecError(
                f"spec hash is {metadata.get(SPEC_HASH_KEY, 'missing')[:12]}, its spec gives "
                f"{spec.hash[:12]}; export the model again"
            )
        return spec

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON, hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


PRESETS: dict[str, ModelSpec] = {
    "base": ModelSpec(
        preset="base",
        width_multiplier=1.0,
        decoder_channels=96,
        buckets={
            "large": Bucket(width=1280, height=960),
            "small": Bucket(width=640, height=480),
        },
    ),
    "nano": ModelSpec(
        preset="nano",
        width_multiplier=0.5,
        decoder_channels=48,
        buckets={
            "large": Bucket(width=640, height=480),
            "small": Bucket(width=320, height=240),
        },
    ),
}
