"""The recipe of a training run: everything that decides its result."""

import math
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from perception.data.policy import Policy, load_policy
from perception.errors import PerceptionError
from perception.spec import PRESETS, ModelSpec


class Source(BaseModel):
    """A dataset as `NAME:PATH`, drawn from in proportion to `weight`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    weight: float = Field(default=1.0, gt=0)

    @classmethod
    def parse(cls, text: str) -> "Source":
        """`sim:FOLDER@2` is the dataset `sim:FOLDER` with weight 2; without @ the weight is 1.

        Raises PerceptionError for a weight that is not over 0.
        """
        dataset, at, weight = text.rpartition("@")
        try:
            value = float(weight) if at else 1.0
        except ValueError:  # the @ belongs to the path
            at = ""
        if not at:
            return cls(dataset=text)
        if not 0 < value < math.inf:
            raise PerceptionError(f"--data {text}: weight {weight} must be over 0")
        return cls(dataset=dataset, weight=value)


def _policy(value: Any) -> Any:
    return load_policy(value) if isinstance(value, str | Path) else value


class Recipe(BaseModel):
    """AdamW (Loshchilov & Hutter 2019) in one cycle (Smith & Topin 2018, "Super-Convergence",
    as in fast.ai's DAWNBench entry): the learning rate rises over the first quarter and falls
    over the rest, momentum does the opposite. An exponential average of the weights is kept
    and is what gets shipped (Polyak & Juditsky 1992).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str
    frames: int = Field(default=1, ge=1, le=2)
    """Images of one camera that the network sees: this one, or the one before too."""
    sources: tuple[Source, ...] = Field(min_length=1)
    steps: int = Field(gt=0)
    batch: int = Field(default=16, ge=2)
    """Images a step; batch norm needs two."""
    crop_height: int = Field(default=256, gt=0, multiple_of=4)
    crop_width: int = Field(default=320, gt=0, multiple_of=4)
    augmentation: Annotated[Policy, BeforeValidator(_policy)] = load_policy("hand")
    """May be given as the name or the file of a policy."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """At its highest."""
    weight_decay: float = Field(default=1e-2, ge=0)
    average_decay: float = Field(default=0.998, ge=0, lt=1)
    balance: float = Field(default=0.2, ge=0, le=1)
    """How much more rare labels count: 0 all pixels alike, 1 all labels alike."""
    auxiliary: bool = True
    """Train with GoogLeNet's auxiliary classifiers."""
    seed: int = Field(default=0, ge=0)
    initial_weights: Path | None = None

    @field_validator("preset")
    @classmethod
    def _known(cls, preset: str) -> str:
        if preset not in PRESETS:
            raise PerceptionError(f"preset '{preset}' is unknown; choose {' or '.join(PRESETS)}")
        return preset

    @property
    def spec(self) -> ModelSpec:
        """Of the network that comes out."""
        return PRESETS[self.preset].model_copy(update={"frames": self.frames})

    def learning_rate_at(self, step: int) -> float:
        return self._cycle(step, self.learning_rate / 25, self.learning_rate, 0.0)

    def momentum_at(self, step: int) -> float:
        """AdamW's first beta."""
        return self._cycle(step, 0.95, 0.85, 0.95)

    def _cycle(self, step: int, start: float, middle: float, end: float) -> float:
        """From start to middle over the first quarter, then to end, along half cosines."""
        progress, rise = step / self.steps, 0.25
        if progress < rise:
            return _cosine(start, middle, progress / rise)
        return _cosine(middle, end, (progress - rise) / (1 - rise))


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * progress))
