"""Augmentation policies: what training does to its images, how often and how strongly.

A policy is a YAML file; docs/augmentation.md describes its keys. The limits below are what is
safe for driving: no setting within them turns one scene into another. That is why there is no
vertical flip, no rotation and no inversion, and why hue stays far from the next traffic light.
"""

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from calib.yaml_file import YamlError, load_yaml
from perception.errors import PerceptionError

BUILT_IN = {path.stem: path for path in sorted((Path(__file__).parent / "policies").glob("*.yaml"))}

# Strict, or YAML's `yes` would be the number 1.
_Factor = Annotated[float, Field(strict=True, ge=0.25, le=4)]
_Part = Annotated[float, Field(strict=True, ge=0, le=1)]
_Pixels = Annotated[float, Field(strict=True, ge=0, le=4)]
_Bytes = Annotated[float, Field(strict=True, ge=0, le=40)]


class PolicyError(PerceptionError):
    """A policy file is missing or wrong: one line with the file, the key, its value."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*")
    @classmethod
    def _ordered(cls, value: Any) -> Any:
        if isinstance(value, tuple) and value[0] > value[1]:
            raise ValueError(f"the range {list(value)} is upside down; write the lower end first")
        return value


class Operation(_Settings):
    """Happens to an image with `probability`; at magnitude 0 it changes nothing.

    A magnitude is drawn anew each time: from its range, or between minus and plus its value.
    """

    probability: _Part

    def scaled(self, strength: float) -> dict[str, Any]:
        """The settings with every magnitude times `strength`, as plain values."""
        return {
            key: value if key == "probability" else _times(value, strength)
            for key, value in self.model_dump().items()
        }


class Shadow(Operation):
    """A straight band of shade across the image, as of a house, a bridge or a lorry."""

    darkness: tuple[_Part, _Part]  # part of the light that is lost


class Haze(Operation):
    """A pale veil of fog, spray or a wet windscreen, thicker towards one side."""

    density: tuple[_Part, _Part]  # part of the light that the veil replaces


class Dirt(Operation):
    """One to four soft brown or grey spots: dirt on the lens. Labels stay as they are."""

    radius: tuple[
        Annotated[float, Field(strict=True, ge=0, le=0.3)],
        Annotated[float, Field(strict=True, ge=0, le=0.3)],
    ]  # parts of the crop's shorter side


class Blur(Operation):
    """Defocus: a Gaussian."""

    sigma: tuple[_Pixels, _Pixels]


class Tone(Operation):
    """The sensor's and its processor's curve, drawn for all five at once."""

    exposure: Annotated[float, Field(strict=True, ge=0, le=1)]  # natural logarithm of the gain
    white_balance: Annotated[float, Field(strict=True, ge=0, le=0.2)]  # gain of one channel
    gamma: Annotated[float, Field(strict=True, ge=0, le=1)]  # natural logarithm of the exponent
    contrast: Annotated[float, Field(strict=True, ge=0, le=0.8)]  # slope about the mean
    brightness: Annotated[float, Field(strict=True, ge=0, le=0.3)]  # parts of full scale


class Colour(Operation):
    """Hue and saturation; grey stays grey. Red and amber lights are about 45 degrees apart."""

    hue: Annotated[float, Field(strict=True, ge=0, le=20)]  # degrees
    saturation: _Part


class Noise(Operation):
    """Gaussian noise of the sensor."""

    sigma: tuple[_Bytes, _Bytes]  # of 255


class Sharpen(Operation):
    """The halo of a camera's unsharp mask."""

    amount: tuple[_Part, _Part]


class Jpeg(Operation):
    """Compression."""

    loss: tuple[
        Annotated[float, Field(strict=True, ge=0, le=90)],
        Annotated[float, Field(strict=True, ge=0, le=90)],
    ]  # 100 minus the quality


class Policy(_Settings):
    """Geometry, then the operations in the order in which light meets them. Absent: never."""

    scale: tuple[_Factor, _Factor]
    """Range (log-uniform) of sizes, relative to what the camera's bucket shows the network."""
    mirror: _Part
    """Probability of a left-right flip."""
    shadow: Shadow | None = None
    haze: Haze | None = None
    dirt: Dirt | None = None
    blur: Blur | None = None
    tone: Tone | None = None
    colour: Colour | None = None
    noise: Noise | None = None
    sharpen: Sharpen | None = None
    jpeg: Jpeg | None = None


def load_policy(name_or_path: str | Path) -> Policy:
    """Read a built-in policy by its name, such as `hand`, or a file. Raises PolicyError."""
    path = BUILT_IN.get(str(name_or_path), Path(name_or_path))
    try:
        content = load_yaml(path)
    except FileNotFoundError as error:
        raise PolicyError(
            f"policy {path}: no such file; give a policy file or a built-in name: "
            f"{', '.join(BUILT_IN)}"
        ) from error
    except OSError as error:
        raise PolicyError(f"policy {path}: can't be read ({error.strerror})") from error
    except YamlError as error:
        raise PolicyError(f"policy {path}: not valid YAML: {error}; correct it") from error
    try:
        return Policy.model_validate(content)
    except ValidationError as error:
        raise PolicyError(f"policy {path}: {_first_problem(error)}") from error


def save_policy(policy: Policy, path: Path, comment: str = "") -> None:
    """Write `policy` below the lines of `comment`, so that `load_policy` returns an equal one."""
    content = policy.model_dump(mode="json", exclude_none=True)
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    path.write_text(head + text, encoding="utf-8")


def _times(value: float | tuple[float, float], factor: float) -> float | tuple[float, ...]:
    if isinstance(value, tuple):
        return tuple(round(part * factor, 4) for part in value)
    return round(value * factor, 4)


def _first_problem(error: ValidationError) -> str:
    """The first thing that pydantic found, on one line."""
    first = error.errors()[0]
    keys = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in first["loc"])
    key, value = keys.lstrip(".") or "the file", repr(first["input"])[:60]
    match first["type"]:
        case "missing":
            problem = f"{key} is missing; add it"
        case "extra_forbidden":
            problem = f"{key} is an unknown key with value {value}; remove it or correct its name"
        case "value_error":
            problem = f"{key}: {first['ctx']['error']}"
        case "model_type":
            problem = f"{key} is {value}; write it as keys and values"
        case _:
            problem = f"{key} is {value}; {first['msg'][0].lower()}{first['msg'][1:]}"
    return " ".join(problem.split())
