"""Native kernels for the device, cross-compiled: what can't be built is left out and said."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from deploy.package.targets import PackageError, Target

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Kernels:
    """What was built into the folder; `missing` says why a kernel is not there, by name."""

    built: tuple[str, ...]
    missing: dict[str, str]


def build(
    target: Target, headers: Path | None, cuda_runtime: Path | None, work: Path, out: Path
) -> Kernels:
    """Build what is possible into `out`.

    headers: folder with `python3.X/Python.h` and `<machine>-linux-gnu/python3.X/pyconfig.h`.
    cuda_runtime: folder with `include/` and `lib/libcudart.so.N` for the target's machine; the
    device's own is what the kernels run on.
    work: an empty folder. Raises PackageError when a compiler that is there fails, and when the
    result needs a newer glibc than the target has.
    """
    built, missing = [], {}
    for name, reason, make in (
        ("cpu", _no_cpu(target, headers), lambda: _cpu(target, headers, work / "cpu", out)),
        ("cuda", _no_cuda(target, cuda_runtime), lambda: _cuda(target, cuda_runtime, out)),
    ):
        if reason:
            missing[name] = reason
            continue
        library = make()
        _check_glibc(target, library)
        built.append(name)
    return Kernels(tuple(built), missing)


def _no_cpu(target: Target, headers: Path | None) -> str | None:
    compiler = f"{target.machine}-linux-gnu-g++"
    if headers is None:
        return f"no --python-headers for Python {target.python}; preprocess runs on OpenCV"
    if not (headers / f"python{target.python}/Python.h").is_file():
        raise PackageError(
            f"{headers}: no python{target.python}/Python.h; unpack "
            f"libpython{target.python}-dev of the device's system there"
        )
    here = {name: shutil.which(name) for name in (compiler, "cmake", "ninja")}
    here["nanobind"] = "here" if find_spec("nanobind") else None
    missing = [name for name, place in here.items() if place is None]
    if missing:
        return f"no {', '.join(missing)} on the building machine; preprocess runs on OpenCV"
    return None


def _no_cuda(target: Target, runtime: Path | None) -> str | None:
    if target.cuda is None:
        return "not for this target"
    if runtime is None:
        return f"no --cuda-runtime of CUDA {target.cuda} for {target.machine}"
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        return "no nvcc here"
    version = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"release (\d+)\.(\d+)", version.stdout)
    if not found or found[1] != target.cuda.split(".")[0]:
        # A driver loads machine code of its own major release of CUDA and older, never newer.
        have = found[0] if found else "unknown"
        return f"nvcc here is {have}, JetPack has CUDA {target.cuda}"
    return None


def _cpu(target: Target, headers: Path | None, work: Path, out: Path) -> Path:
    assert headers is not None
    include = f"{headers / f'python{target.python}'};{headers}"
    abi = f"cpython-{target.python.replace('.', '')}-{target.machine}-linux-gnu"
    cmake_dir = _run([sys.executable, "-m", "nanobind", "--cmake_dir"]).strip()
    _run([
        *("cmake", "-G", "Ninja", "-S", str(ROOT), "-B", str(work)),
        *("-DCMAKE_BUILD_TYPE=Release", "-DSKBUILD=ON", "-DOCTOVIEW_CUDA=off"),
        *("-DCMAKE_SYSTEM_NAME=Linux", f"-DCMAKE_SYSTEM_PROCESSOR={target.machine}"),
        f"-DCMAKE_CXX_COMPILER={target.machine}-linux-gnu-g++",
        f"-DCMAKE_CXX_FLAGS=-ffile-prefix-map={ROOT}=. -ffile-prefix-map={cmake_dir}=nanobind",
        *(f"-DOCTOVIEW_PYTHON_HEADERS={include}", f"-DPython_VERSION={target.python}"),
        *(f"-DSKBUILD_SOABI={abi}", "-DSKBUILD_SOSABI=abi3", f"-Dnanobind_DIR={cmake_dir}"),
    ])  # fmt: skip
    _run(["cmake", "--build", str(work)])
    (library,) = work.glob("_native.*.so")
    return Path(shutil.copy(library, out))


def _cuda(target: Target, runtime: Path | None, out: Path) -> Path:
    assert runtime is not None and target.cuda is not None
    library = out / "liboctoview_cuda.so"
    cudart = runtime / f"lib/libcudart.so.{target.cuda.split('.')[0]}"
    if not cudart.is_file():
        raise PackageError(
            f"{runtime}: has no lib/{cudart.name}; give nvidia/cu13 of the wheel "
            f"nvidia-cuda-runtime for {target.machine}"
        )
    # Options as in deploy/native/cuda.cmake: CMake can't cross-compile with a runtime from a wheel.
    _run([
        *("nvcc", "-shared", "-std=c++17", "-O3", "--fmad=false"),
        *("-Xcompiler=-fPIC,-ffp-contract=off", f"-arch=sm_{target.compute_capability}"),
        *("-ccbin", f"{target.machine}-linux-gnu-g++", "-cudart", "none"),
        *("-target-dir", "x86_64-linux"),  # nvcc's own headers are the same for every machine
        *(f"-I{ROOT / 'deploy/native'}", f"-I{runtime / 'include'}"),
        *(str(ROOT / "deploy/native/cuda.cu"), "-o", str(library)),
        *("-Xlinker", str(cudart), "-Xlinker", "--strip-all"),
    ])  # fmt: skip
    return library


def _check_glibc(target: Target, library: Path) -> None:
    """Raises PackageError when the library needs a newer glibc than the device has."""
    symbols = _run([f"{target.machine}-linux-gnu-objdump", "-T", str(library)])
    needed = {(int(a), int(b)) for a, b in re.findall(r"GLIBC_(\d+)\.(\d+)", symbols)}
    if needed and max(needed) > target.glibc:
        raise PackageError(
            f"{library.name}: needs glibc {'.'.join(map(str, max(needed)))}, {target.name} has "
            f"{'.'.join(map(str, target.glibc))}; build on an older system"
        )


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        lines = (done.stderr + done.stdout).strip().splitlines()
        error = next((line for line in lines if "error" in line.lower()), (lines or ["?"])[-1])
        raise PackageError(f"{command[0]}: {error}; native kernels can't be built")
    return done.stdout
