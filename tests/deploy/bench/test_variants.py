"""Which engines the table of `octoview bench` has."""

from pathlib import Path

import pytest

from calib.rig import Rig
from deploy.bench import variants
from deploy.bench.variants import load_variants
from deploy.errors import EngineError
from deploy.loop import runtimes


def test_an_engine_that_does_not_load_is_left_out_and_told(
    rig: Rig, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As onnxruntime-gpu does where CUDA is not: it names a provider that it can't load."""
    for module in (variants, runtimes):
        monkeypatch.setattr(
            module, "missing", lambda name: None if name.startswith("onnxruntime") else "not here"
        )
    monkeypatch.setattr("onnxruntime.preload_dlls", lambda: None)
    with pytest.warns(UserWarning, match="Specified provider"):
        loaded, left_out = load_variants(rig, [model], ["auto"])
    assert [pipeline.engine.name.split()[-1] for _, pipeline in loaded] == ["CPU"]
    assert [line.split()[0] for line in left_out] == ["onnxruntime-cuda", "onnxruntime-tensorrt"]
    assert "takes CPUExecutionProvider instead of CUDAExecutionProvider" in left_out[0]
    with (
        pytest.warns(UserWarning, match="Specified provider"),
        pytest.raises(EngineError, match="takes CPUExecutionProvider instead"),
    ):
        load_variants(rig, [model], ["onnxruntime", "onnxruntime-cuda"])


def test_each_model_in_each_engine_that_is_named(rig: Rig, model: Path) -> None:
    loaded, left_out = load_variants(rig, [model, model], ["onnxruntime"])
    assert [path for path, _ in loaded] == [model, model] and left_out == []
