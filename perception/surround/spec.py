"""SurroundSpec: every fact that a surround head and its users must agree on, written once.

It travels inside each artefact of the head, as ModelSpec does in the network's.
Imports no torch: machines that only run artefacts read it too.
"""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from perception.errors import SpecError
from perception.spec import TensorSpec
from perception.taxonomy import SCENE_CLASSES

SURROUND_KEY = "octoview.surround"
"""Metadata key of an artefact under which the spec's JSON stands."""
SURROUND_HASH_KEY = "octoview.surround_hash"
"""Metadata key under which the hash of that JSON stands."""

MOST_CELLS = 4096
"""On a side of the grid."""


class SurroundSpec(BaseModel):
    """The grid on the ground of the ego frame, metres, and what goes in and comes out.

    Row 0 is at `y_min`, column 0 at `x_min`: x forward runs along columns, y left along rows.
    `heights`: over each cell the cameras are looked up at these z.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    x_min: float = -20.0
    x_max: float = 40.0
    y_min: float = -20.0
    y_max: float = 20.0
    cell: float = Field(default=0.4, gt=0)
    heights: tuple[float, ...] = Field(default=(0.0, 0.6, 1.4), min_length=1, max_length=16)
    scene_classes: tuple[str, ...] = SCENE_CLASSES
    groups: tuple[tuple[str, ...], ...] = (
        ("drivable",),
        ("pavement",),
        ("terrain",),
        ("vehicle",),
        ("pedestrian", "cyclist"),
    )
    """Scene classes whose probability is looked up together; of the rest nothing is."""
    layers: tuple[str, ...] = ("drivable", "vehicle")
    width: int = Field(default=24, gt=0, le=1024)
    """Channels of each camera's cell; the grid's own layers have 1, 2 and 3 times as many."""

    @model_validator(mode="after")
    def _has_cells(self) -> "SurroundSpec":
        spans = {"y": self.y_max - self.y_min, "x": self.x_max - self.x_min}
        for axis, span in spans.items():
            if not 0.5 < span / self.cell <= MOST_CELLS:
                raise ValueError(
                    f"{axis} spans {span:g} m, cells are {self.cell:g} m; 1 to {MOST_CELLS} fit"
                )
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """Rows (y), columns (x)."""
        rows = (self.y_max - self.y_min) / self.cell
        columns = (self.x_max - self.x_min) / self.cell
        return round(rows), round(columns)

    def points(self) -> NDArray[np.float64]:
        """Ego points (heights, rows, columns, 3) over the cell centres."""
        rows, columns = self.shape
        x = self.x_min + (np.arange(columns) + 0.5) * self.cell
        y = self.y_min + (np.arange(rows) + 0.5) * self.cell
        z, y, x = np.meshgrid(self.heights, y, x, indexing="ij")
        return np.stack([x, y, z], axis=-1)

    @property
    def inputs(self) -> tuple[TensorSpec, TensorSpec]:
        """`scene`: class logits of each camera at the network's stride. `lookup`: where to look for
        each point, once for each of the cameras that see it: x and y from -1 to 1 between the
        outer edges of all scene maps stacked from top to bottom, and the weight of what is
        there, 0 for nothing."""
        scene = ("cameras", len(self.scene_classes), "height", "width")
        lookup = ("looks", len(self.heights), *self.shape, 3)
        return (
            TensorSpec(name="scene", shape=scene, dtype="float32", unit="logit"),
            TensorSpec(name="lookup", shape=lookup, dtype="float32", unit="share of the maps"),
        )

    @property
    def output(self) -> TensorSpec:
        shape = (len(self.layers), *self.shape)
        return TensorSpec(name="surround", shape=shape, dtype="float32", unit="logit")

    def to_json(self) -> str:
        return self.model_dump_json()

    @property
    def hash(self) -> str:
        """SHA-256 of the JSON, hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @property
    def metadata(self) -> dict[str, str]:
        """What an artefact carries."""
        return {SURROUND_KEY: self.to_json(), SURROUND_HASH_KEY: self.hash}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "SurroundSpec":
        """The spec that an artefact carries. Raises SpecError without one, for a bad one, and
        when its hash differs."""
        if SURROUND_KEY not in metadata:
            raise SpecError(
                f"has no '{SURROUND_KEY}' in its metadata; give a surround head, not a network"
            )
        try:
            spec = cls.model_validate_json(metadata[SURROUND_KEY])
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "spec"
            raise SpecError(f"surround spec: {where}: {first['msg']}; train it again") from error
        if spec.hash != metadata.get(SURROUND_HASH_KEY):
            raise SpecError("surround spec differs from its hash; train or export it again")
        return spec
