"""The CUDA kernels: the same bytes as the CPU's.

What a GPU thread does is run on the CPU, with any compiler. nvcc, where it is, compiles the kernels
for every architecture; on a GPU they run.
"""

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCES = TESTS.parents[2] / "deploy" / "native"
PROGRAM = [TESTS / "cuda_test.cpp", SOURCES / "preprocess.cpp", SOURCES / "scene.cpp"]
OPTIONS = ["-std=c++17", "-O1", f"-I{SOURCES}", "-DOCTOVIEW_NO_CLONES"]
ARCHITECTURES = (87, 89, 90, 110)
EM_CUDA = 190
"""Machine of an ELF file that holds NVIDIA's code."""


def run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def nvcc() -> str:
    path = shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")
    if path is None:
        pytest.skip("no nvcc")
    return path


def gpus() -> int:
    """As the driver counts them."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value


def test_what_a_gpu_thread_does_gives_the_cpus_bytes(tmp_path: Path):
    compiler = shutil.which("c++") or pytest.skip("no C++ compiler")
    program = tmp_path / "cuda_test"
    run(compiler, *OPTIONS, "-ffp-contract=off", "-pthread", *PROGRAM, "-o", program)
    run(program, "host")


@pytest.mark.parametrize("number", ARCHITECTURES)
def test_they_compile_for(number: int, tmp_path: Path):
    compiler = nvcc()
    if f"sm_{number}" not in run(compiler, "--list-gpu-code").split():
        pytest.skip(f"this nvcc has no sm_{number}")
    cubin = tmp_path / "kernels.cubin"
    strict = ["-std=c++17", "-O3", "--fmad=false", "--Werror=all-warnings"]
    run(compiler, *strict, f"-arch=sm_{number}", "-cubin", SOURCES / "cuda.cu", "-o", cubin)
    code = cubin.read_bytes()
    assert code[:4] == b"\x7fELF" and int.from_bytes(code[18:20], "little") == EM_CUDA
    assert b"preprocess_kernel" in code and b"scene_kernel" in code


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Library and test program by CMake, as the install builds the library."""
    nvcc()
    if shutil.which("cmake") is None:
        pytest.skip("no cmake")
    folder = tmp_path_factory.mktemp("build")
    run("cmake", "-S", SOURCES.parents[1], "-B", folder, "-DOCTOVIEW_CUDA=on")
    run("cmake", "--build", folder, "--target", "cuda_test")
    return folder


def test_the_library_holds_code_for_each_architecture(built: Path):
    tool = shutil.which("cuobjdump") or pytest.skip("no cuobjdump")
    listed = run(tool, "--list-elf", built / "liboctoview_cuda.so")
    known = run(nvcc(), "--list-gpu-code").split()
    for number in ARCHITECTURES:
        assert f"sm_{number}." in listed or f"sm_{number}" not in known


def test_without_a_gpu_the_program_says_so(built: Path):
    if gpus():
        pytest.skip("there is a GPU")
    done = subprocess.run([built / "cuda_test", "device"], capture_output=True, text=True)
    assert done.returncode == 77 and done.stdout.startswith("no GPU: ")


def test_on_a_gpu_they_give_the_cpus_bytes(built: Path):
    if not gpus():
        pytest.skip("no GPU")
    run(built / "cuda_test", "device")
