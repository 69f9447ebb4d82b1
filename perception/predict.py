"""A torch network as the evaluator's Predict."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from perception.network import OctoNet


class Predictor:
    """Runs the network in eval mode, without gradients, on the device where its weights are."""

    def __init__(self, network: OctoNet) -> None:
        self._network = network.eval()
        self._device = next(network.parameters()).device

    def __call__(self, images: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[Any]]:
        with torch.inference_mode():
            outputs = self._network(torch.from_numpy(images).to(self._device))
        return {name: tensor.cpu().numpy() for name, tensor in outputs.items()}
