"""Weights on disk: safetensors with the ModelSpec in the header, never pickle."""

import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from perception.errors import CheckpointError
from perception.network import OctoNet
from perception.spec import SPEC_KEY, ModelSpec


def save_network(network: OctoNet, path: Path) -> None:
    """Write the network's weights and its spec."""
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_tensors(state, {SPEC_KEY: network.spec.to_json()}, path)


def load_network(path: Path) -> tuple[OctoNet, ModelSpec]:
    """The network in eval mode, and its spec. Raises CheckpointError, SpecError."""
    tensors, header = load_tensors(path)
    if SPEC_KEY not in header:
        raise CheckpointError(f"{path}: no '{SPEC_KEY}' in its header; not an OctoView checkpoint")
    spec = ModelSpec.from_json(header[SPEC_KEY])
    network = OctoNet(spec)
    load_state(network, tensors, path)
    return network.eval(), spec


def load_state(network: OctoNet, tensors: dict[str, Tensor], path: Path) -> None:
    """Strictly copy tensors into the network. Raises CheckpointError on any difference."""
    try:
        network.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path}: its tensors do not fit preset '{network.spec.preset}' "
            f"({str(error).splitlines()[1].strip()}); train again or choose that file's preset"
        ) from error


def save_tensors(tensors: dict[str, Tensor], header: dict[str, str], path: Path) -> None:
    """Write to a temporary name, flush to disk, rename: never a half-written file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata=header)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors and the header's strings. Raises CheckpointError."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; give a .safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a readable safetensors file ({error})") from error
