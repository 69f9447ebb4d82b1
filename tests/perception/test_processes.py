"""Two processes that share each batch train like one."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from perception.checkpoint import load_network
from perception.errors import PerceptionError
from perception.processes import Processes
from tests.perception.data.folders import write_camvid

STEPS = 4


ONE = [sys.executable, "-m", "deploy.cli"]
TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
TWO += ["-m", "deploy.cli"]


def _train(launcher: list[str], folder: Path, images: Path, seed: int = 0) -> np.ndarray:
    """(steps, losses) of a run of the command line."""
    options = ["--data", f"camvid:{images}", "--steps", str(STEPS), "--batch", "4"]
    options += ["--augmentation", "none", "--seed", str(seed), "--out", str(folder)]
    command = [*launcher, "train", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("wrote ") == 1  # one process speaks for all
    with (folder / "curve.csv").open() as file:
        return np.array([[float(x) for x in row[2:]] for row in list(csv.reader(file))[1:]])


def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    images = write_camvid(tmp_path, 8, "train")
    one = _train(ONE, tmp_path / "one", images).sum(axis=1)
    two = _train(TWO, tmp_path / "two", images).sum(axis=1)
    other = _train(ONE, tmp_path / "other", images, seed=1).sum(axis=1)
    assert len(one) == len(two) == STEPS
    assert np.abs(two / one - 1).max() < 0.1 < np.abs(other / one - 1).max()
    load_network(tmp_path / "two/weights.safetensors")


def test_a_batch_is_shared_out_whole() -> None:
    shares = [Processes(number, 3, torch.device("cpu")).share(6) for number in range(3)]
    assert sorted(place for share in shares for place in share) == list(range(6))
    with pytest.raises(PerceptionError, match=r"batch of 4.*3 processes.*multiple of 3"):
        Processes(0, 3, torch.device("cpu")).share(4)
