"""Imports run one way: calib <- perception <- export <- deploy; replaying needs no torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("calib", "perception", "export", "deploy")


def imported_packages(path: Path) -> set[str]:
    """Top-level names that the file imports anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("floor", FLOORS)
def test_no_room_imports_from_a_floor_above(floor: str) -> None:
    files = sorted((ROOT / floor).rglob("*.py"))
    assert files
    above = set(FLOORS[FLOORS.index(floor) + 1 :])
    wrong = [str(path) for path in files if imported_packages(path) & above]
    assert wrong == []


def test_replay_loads_neither_torch_nor_the_trainers_libraries() -> None:
    heavy = "{'torch', 'onnx', 'moderngl', 'faster_coco_eval', 'safetensors'}"
    modules = "deploy.cli, deploy.loop.replay, deploy.loop.tensorrt_engine"
    code = f"import sys, {modules}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
