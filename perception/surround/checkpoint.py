"""A head on disk: safetensors with the SurroundSpec in the header, never pickle."""

from pathlib import Path

from perception.checkpoint import load_tensors, save_tensors
from perception.errors import CheckpointError, SpecError
from perception.surround.network import SurroundHead
from perception.surround.spec import SurroundSpec


def save_head(head: SurroundHead, path: Path) -> None:
    """Write the head's weights and its spec. Raises CheckpointError when it can't be written."""
    state = {name: tensor.contiguous() for name, tensor in head.state_dict().items()}
    save_tensors(state, head.spec.metadata, path)


def load_head(path: Path) -> SurroundHead:
    """The head in eval mode. Raises CheckpointError, SpecError."""
    tensors, header = load_tensors(path)
    try:
        spec = SurroundSpec.from_metadata(header)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from error
    head = SurroundHead(spec)
    try:
        head.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: its tensors do not fit its spec; train it again") from error
    return head.eval()
