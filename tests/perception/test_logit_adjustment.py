"""Biases that were spoilt are found again, and a head that is right is left alone."""

import numpy as np
import torch

from perception.logit_adjustment import adjusted, cells, held_out_gains, score, search
from perception.network import OctoNet
from perception.predict import Predictor
from tests.perception.memory import DRIVABLE, SPEC, Memory, Oracle

CLASSES = len(SPEC.scene_classes)


def test_a_spoilt_bias_is_found_again() -> None:
    dataset = Memory()
    oracle = Oracle(dataset)
    spoilt = np.zeros((CLASSES, 1, 1), np.float32)
    spoilt[DRIVABLE] = 0.5
    noise = np.random.default_rng(0)

    def predict(images: np.ndarray) -> dict[str, np.ndarray]:
        """Right but for noise, and drivable too often."""
        outputs = oracle(images)
        scene = 0.1 * outputs["scene"] + noise.normal(0, 0.4, outputs["scene"].shape) + spoilt
        return outputs | {"scene": scene.astype(np.float32)}

    found = [cells(predict, dataset, SPEC)]
    biases = search(found)
    others = np.delete(biases, DRIVABLE)
    assert biases[DRIVABLE] - others.max() < 0 and score(found, biases) > score(found, 0 * biases)
    assert min(held_out_gains(found)) > 0


def test_what_is_right_stays() -> None:
    dataset = Memory()
    found = [cells(Oracle(dataset), dataset, SPEC)]
    assert score(found, np.zeros(CLASSES)) == 1
    assert not search(found).any()


def test_cells_are_those_of_the_network_and_its_adjusted_head() -> None:
    """Adding biases to the cells' logits and to the head is one and the same."""
    torch.manual_seed(0)
    dataset, network = Memory(), OctoNet(SPEC).eval()
    before = [cells(Predictor(network), dataset, SPEC)]
    biases = np.linspace(-20, 20, CLASSES)
    after = [cells(Predictor(adjusted(network, biases)), dataset, SPEC)]
    assert score(after, np.zeros(CLASSES)) == score(before, biases)
    assert score(after, np.zeros(CLASSES)) != score(before, np.zeros(CLASSES))
