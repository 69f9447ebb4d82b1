"""A stand-in for NVIDIA's driver: a real shared library that says what it is told to.

It knows the calls that ask what is there. Nothing can be run on it.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

_SOURCE = """
#include <string.h>
int cuInit(unsigned flags) {{ return {result}; }}
int cuDeviceGetCount(int *count) {{ *count = {count}; return 0; }}
int cuDriverGetVersion(int *version) {{ *version = {cuda}; return 0; }}
int cuDeviceGet(int *device, int ordinal) {{ *device = ordinal; return 0; }}
int cuDeviceGetName(char *name, int size, int device)
{{ strncpy(name, "{name}", size); return 0; }}
int cuDeviceGetAttribute(int *value, int attribute, int device)
{{ *value = attribute == 75 ? {major} : attribute == 76 ? {minor} : -1; return 0; }}
"""


def build_driver(
    folder: Path,
    *,
    result: int = 0,
    count: int = 1,
    cuda: int = 12080,
    name: str = "Stand-in RTX 4090",
    capability: str = "8.9",
) -> Path:
    """`libcuda.so.1` in `folder`. Skips the test where there is no C compiler."""
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    major, minor = capability.split(".")
    source = folder / "driver.c"
    source.write_text(
        _SOURCE.format(result=result, count=count, cuda=cuda, name=name, major=major, minor=minor)
    )
    library = folder / "libcuda.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    return library
