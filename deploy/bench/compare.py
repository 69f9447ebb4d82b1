"""Two results of `octoview bench` side by side."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from deploy.errors import DeployError


class _Quartiles(BaseModel):
    p25: float = Field(gt=0)
    p50: float = Field(gt=0)
    p75: float = Field(gt=0)


class _Machine(BaseModel):
    cpu: str
    physical_cores: int
    logical_cpus: int


class _Model(BaseModel):
    file: str
    precision: str
    spec_hash: str
    engine: str
    threads: int


class Result(BaseModel):
    """What a comparison reads of a result."""

    rig: str
    model: _Model
    machine: _Machine
    quartiles_ms: dict[str, _Quartiles]


@dataclass(frozen=True)
class Change:
    """Quartiles of one stage in both files; `ratio` is B over A of the medians."""

    stage: str
    a: _Quartiles
    b: _Quartiles

    @property
    def ratio(self) -> float:
        return self.b.p50 / self.a.p50

    @property
    def within_noise(self) -> bool:
        """Whether the middle halves of the two overlap."""
        return self.a.p25 <= self.b.p75 and self.b.p25 <= self.a.p75


def read_result(path: Path) -> Result:
    """Raises DeployError for a file that is no result of `octoview bench`."""
    try:
        return Result.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DeployError(f"{path}: can't be read ({error.strerror}); check the path") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise DeployError(
            f"{path}: is no result of `octoview bench --json` ({where}: {first['msg']}); "
            "measure again"
        ) from error


def differences(a: Result, b: Result) -> list[str]:
    """Why the two can't be compared; empty if they can. Engines, threads, precision and weights
    may differ."""
    pairs = {
        "rig": (a.rig, b.rig),
        "processor": (a.machine.cpu, b.machine.cpu),
        "cores": (a.machine.physical_cores, b.machine.physical_cores),
        "logical processors": (a.machine.logical_cpus, b.machine.logical_cpus),
        "input and classes of the model": (a.model.spec_hash[:12], b.model.spec_hash[:12]),
    }
    return [f"{name}: {x} and {y}" for name, (x, y) in pairs.items() if x != y]


def changes(a: Result, b: Result) -> list[Change]:
    """Every stage that both files have, in the order of `a`."""
    return [
        Change(stage, values, b.quartiles_ms[stage])
        for stage, values in a.quartiles_ms.items()
        if stage in b.quartiles_ms
    ]
