"""What a package is built for: machine, system, Python, and what JetPack brings."""

from dataclasses import dataclass
from pathlib import Path

from deploy.errors import DeployError

_COMMON = ("adduser", "libc6", "libstdc++6", "openssl")


class PackageError(DeployError):
    """The package can't be built from what was given."""


@dataclass(frozen=True)
class Target:
    """One kind of device.

    `platforms`: tags of wheels that run there, newest first. `glibc`: of its system; nothing
    in the package may need a newer one. `depends`: what JetPack brings, by Debian name.
    `l4t`: L4T releases that `octoview flash` pairs it with. `compute_capability` and `cuda`: of its
    GPU and JetPack; None where the package has no CUDA kernels.
    """

    name: str
    architecture: str
    python: str
    glibc: tuple[int, int]
    platforms: tuple[str, ...]
    depends: tuple[str, ...] = ()
    l4t: tuple[str, ...] = ()
    compute_capability: str | None = None
    cuda: str | None = None

    @property
    def machine(self) -> str:
        """As compilers and wheels call the architecture."""
        return {"arm64": "aarch64", "amd64": "x86_64"}[self.architecture]

    @property
    def all_depends(self) -> tuple[str, ...]:
        """Everything that apt must bring."""
        major, minor = self.python.split(".")
        python = (f"python3 (>= {self.python})", f"python3 (<< {major}.{int(minor) + 1})")
        return (*_COMMON, *python, *self.depends)

    @property
    def lock(self) -> Path:
        """The committed list of wheels with their hashes."""
        return Path(__file__).parent / "locks" / f"{self.name}.txt"


def _tags(machine: str, newest: int) -> tuple[str, ...]:
    """manylinux tags from glibc 2.`newest` down to 2.17."""
    return (
        *(f"manylinux_2_{minor}_{machine}" for minor in range(newest, 16, -1)),
        f"manylinux2014_{machine}",
    )


# Names from the apt sources of JetPack: nvidia-l4t-core carries the L4T release as its version,
# libnvinfer10 and its Python binding are TensorRT 10, cuda-cudart-X-Y is the CUDA runtime.
_TENSORRT = ("libnvinfer10", "libnvinfer-plugin10", "libnvonnxparsers10", "python3-libnvinfer")

TARGETS = {
    target.name: target
    for target in (
        Target(
            "jetson-orin-jp6", "arm64", "3.10", (2, 35), _tags("aarch64", 35),
            ("nvidia-l4t-core (>= 36.4)", "nvidia-l4t-core (<< 37)", "cuda-cudart-12-6",
             *_TENSORRT),
            ("36.4.3", "36.4.4"), "87", "12.6",
        ),
        Target(
            "jetson-orin-jp7", "arm64", "3.12", (2, 39), _tags("aarch64", 39),
            ("nvidia-l4t-core (>= 39.2)", "nvidia-l4t-core (<< 40)", "cuda-cudart-13-2",
             *_TENSORRT),
            ("39.2.1",), "87", "13.2",
        ),
        Target(
            "jetson-thor-jp7", "arm64", "3.12", (2, 39), _tags("aarch64", 39),
            ("nvidia-l4t-core (>= 38.2)", "nvidia-l4t-core (<< 40)",
             "cuda-cudart-13-0 | cuda-cudart-13-2", *_TENSORRT),
            ("38.2.1", "38.4", "39.2.1"), "110", "13.0",
        ),
        Target("desktop", "amd64", "3.11", (2, 36), _tags("x86_64", 36)),
        # No device: the Debian 12 in which `make jetson-test` runs the package under emulation.
        Target("emulated-arm64", "arm64", "3.11", (2, 36), _tags("aarch64", 36)),
    )
}  # fmt: skip
