"""Weights on disk: safetensors with the ModelSpec in the header, never pickle."""

import hashlib
import json
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from perception.errors import CheckpointError, SpecError
from perception.network import OctoNet
from perception.spec import CHECKSUM_KEY, SPEC_KEY, TRAINED_ON_KEY, ModelSpec


def save_network(network: OctoNet, path: Path, trained_on: str | None = None) -> None:
    """Write the network's weights, its spec, and the fingerprints of its training images."""
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    header = {SPEC_KEY: network.spec.to_json()}
    if trained_on is not None:
        header[TRAINED_ON_KEY] = trained_on
    save_tensors(state, header, path)


def load_network(path: Path) -> tuple[OctoNet, ModelSpec]:
    """The network in eval mode, and its spec. Raises CheckpointError, SpecError."""
    tensors, header = load_tensors(path)
    if SPEC_KEY not in header:
        raise CheckpointError(
            f"{path}: no '{SPEC_KEY}' in its header; give weights of `octoview train`"
        )
    try:
        spec = ModelSpec.from_json(header[SPEC_KEY])
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from error
    network = OctoNet(spec)
    load_state(network, tensors, path)
    return network.eval(), spec


def load_state(network: OctoNet, tensors: dict[str, Tensor], path: Path) -> None:
    """Copy tensors into the network. Raises CheckpointError for a name or shape that differs."""
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    found = {name: tensor.shape for name, tensor in tensors.items()}
    differing = sorted(n for n in shapes.keys() | found.keys() if shapes.get(n) != found.get(n))
    if differing:
        raise CheckpointError(
            f"{path}: its tensors do not fit preset '{network.spec.preset}': {len(differing)} "
            f"differ, such as '{differing[0]}'; train again or choose that file's preset"
        )
    network.load_state_dict(tensors)


def save_tensors(tensors: dict[str, Tensor], header: dict[str, str], path: Path) -> None:
    """Write to a temporary name, flush to disk, rename: never a half-written file.

    Raises CheckpointError when it can't be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, partial, metadata={**header, CHECKSUM_KEY: _digest(tensors, header)})
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: can't be written ({error}); check the folder and the space on its disk"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors and the header's strings. Raises CheckpointError, also when they are not what was
    written; a file of another tool does not say what that was."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; give a .safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({error}); restore it or train again"
        ) from error
    written = header.pop(CHECKSUM_KEY, None)
    if written is not None and written != (found := _digest(tensors, header)):
        raise CheckpointError(
            f"{path}: damaged: its SHA-256 is {found[:12]}, it was {written[:12]} when it was "
            "written; restore it or train again"
        )
    return tensors, header


def _digest(tensors: dict[str, Tensor], header: dict[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].cpu().numpy().tobytes())
    return digest.hexdigest()
