"""Estimate, never a measurement: the least time that a Jetson Orin's GPU can take for a tick.

The roofline of Williams, Waterman and Patterson (CACM 2009): arithmetic at the peak rate that
NVIDIA publishes, or the bytes of all convolutions at the published memory bandwidth, whichever
takes longer. No real engine reaches those peaks; caches may make the bytes fewer.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from perception.cost import Cost

NUMBER_BYTES = {"fp32": 4, "fp16": 2}


@dataclass(frozen=True)
class Device:
    """Peaks of the GPU alone, dense: published INT8 figures count a sparsity that this network
    has not, and some add the DLA's."""

    name: str
    tops: Mapping[str, float]
    """1e12 operations a second by precision; a multiply-add is two."""
    gb_per_second: float
    source: str


DEVICES = (
    Device(
        "Jetson AGX Orin 64GB",
        {"fp32": 5.3, "fp16": 42.5, "int8": 85.0},
        204.8,
        "NVIDIA Jetson AGX Orin Series Technical Brief v1.2: GPU 170 sparse INT8 TOPS (85 dense, "
        "half of it in FP16), 5.3 FP32 TFLOPS, 204.8 GB/s",
    ),
    Device(
        "Jetson Orin Nano Super 8GB",
        {"fp32": 2.1, "fp16": 16.75, "int8": 33.5},
        102.0,
        "NVIDIA Jetson Orin Nano Super Developer Kit data sheet, 2024: 67 sparse INT8 TOPS (33.5 "
        "dense, half of it in FP16), 1024 cores at 1.02 GHz (2.1 FP32 TFLOPS), 102 GB/s",
    ),
)


@dataclass(frozen=True)
class Estimate:
    """Seconds of one tick; the floor is the larger of the two."""

    arithmetic: float
    memory: float

    @property
    def floor(self) -> float:
        return max(self.arithmetic, self.memory)


def estimate(
    cost: Cost, images_by_bucket: Mapping[str, int], device: Device, precision: str
) -> Estimate:
    """For `images_by_bucket` images of each bucket.

    cost: of the file that is run; an FP16 engine is made of the FP32 file, whose bytes it halves.
    INT8 counts the few layers that are left in float as INT8 too.
    """
    macs = sum(n * cost.macs[bucket] for bucket, n in images_by_bucket.items())
    traffic = sum(n * cost.traffic[bucket] for bucket, n in images_by_bucket.items())
    size = NUMBER_BYTES[precision] / NUMBER_BYTES["fp32"] if precision in NUMBER_BYTES else 1.0
    return Estimate(
        arithmetic=2 * macs / (1e12 * device.tops[precision]),
        memory=size * traffic / (1e9 * device.gb_per_second),
    )
