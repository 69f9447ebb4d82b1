"""ONNX to TensorRT or TensorRT-RTX: one strongly typed plan per resolution bucket.

The two are one Python API under two module names. TensorRT times kernels on the GPU that it
builds for. TensorRT-RTX builds without any GPU, for the compute capabilities it is told, and
compiles the rest where the plan runs.

A plan has its bucket's height and width built in and a batch that may vary. One plan with a
profile per bucket would hold the weights once, but would compute every shape at run time, and
TensorRT would choose its kernels without knowing the size of any image.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto

from export.errors import ExportError
from export.precision import check_half, to_half
from export.tensorrt_file import EngineKey, read_model, read_spec, write_engine
from export.tensorrt_runtime import check_tensors, first_line, network_tensors, quiet_logger
from export.tensorrt_target import Precision, Target, compute_capability
from export.whole_file import whole_file
from perception.spec import ModelSpec

USUAL_BATCH = 4
"""Cameras per bucket of the hw2 rig: what kernels are chosen for."""


def build_engine(
    model: Path, out: Path, target: Target, progress: Callable[[str], None] = lambda step: None
) -> EngineKey:
    """Build every bucket's plan from `model`, an ONNX file of `octoview export`, into `out`.

    For int8 the model must hold Q/DQ pairs. Returns the key. Raises ExportError, and leaves
    `out` as it was, when the model is not ours, has an operator that the runtime lacks, or loses
    too much in FP16.
    """
    content = read_model(model)
    loaded = parse_model(model, content)
    metadata = {entry.key: entry.value for entry in loaded.metadata_props}
    spec = read_spec(model, metadata)
    if not out.parent.is_dir():
        raise ExportError(f"{out.parent}: no such folder; make it or choose another --out")
    if out.is_dir():
        raise ExportError(f"{out}: is a folder; name a file, such as {out / 'nano.engine'}")
    typed = _typed(model, loaded, spec, target.precision, progress).SerializeToString()
    plans = {}
    for bucket in spec.buckets:
        progress(f"building {bucket}")
        plans[bucket] = _build_plan(model, typed, spec, bucket, target)
    key = target.key(content)
    write_engine(out, key, metadata, plans)
    return key


def parse_model(path: Path, content: bytes) -> ModelProto:
    """Raises ExportError when the content is no ONNX model."""
    try:
        model = onnx.load_model_from_string(content)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and onnx's exceptions share no base
        raise ExportError(
            f"{path}: is no ONNX model ({first_line(str(error))}); give a file of `octoview export`"
        ) from error
    return model


def _typed(
    path: Path,
    model: ModelProto,
    spec: ModelSpec,
    precision: Precision,
    progress: Callable[[str], None],
) -> ModelProto:
    """The model whose types say what `precision` asks for."""
    quantised = any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    if quantised != (precision == "int8"):
        raise ExportError(
            f"{path}: has {'' if quantised else 'no '}Q/DQ pairs, so --precision {precision} "
            + ("is not for it; take int8" if quantised else "needs it quantised first")
        )
    if precision == "int8":
        from export.int8 import to_signed  # its libraries load torch where that is installed

        return to_signed(model)
    if precision == "fp32":
        return model
    progress("half precision")
    half = to_half(model)
    smallest = min(spec.buckets.values(), key=lambda bucket: bucket.width * bucket.height)
    shape = (1, 3 * spec.frames, smallest.height, smallest.width)
    # Normalised colours have about this spread; the gate on real frames is `octoview export`'s.
    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    failures = check_half(model, half, [noise])
    if failures:
        raise ExportError(f"{path}: {failures[0]}; use --precision fp32")
    return half


def _build_plan(path: Path, model: bytes, spec: ModelSpec, bucket: str, target: Target) -> bytes:
    trt = target.runtime
    problems: list[str] = []
    logger = quiet_logger(trt, problems)
    builder = trt.Builder(logger)
    # TensorRT 11 has no other networks and ignores the flag.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model) or network.num_outputs == 0:
        raise ExportError(f"{path}: {trt.__name__} {trt.__version__} {_refusal(parser)}")
    size = spec.bucket(bucket)
    channels = spec.input.shape[1]
    network.get_input(0).shape = (-1, channels, size.height, size.width)
    check_tensors(path, network_tensors(network), spec, bucket)

    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # float32 means all of its bits
    profile = builder.create_optimization_profile()
    usual = min(USUAL_BATCH, target.max_batch)
    batches = (1, usual, target.max_batch)
    profile.set_shape(
        spec.input.name, *((batch, channels, size.height, size.width) for batch in batches)
    )
    config.add_optimization_profile(profile)
    if target.compute_capabilities:
        config.num_compute_capabilities = len(target.compute_capabilities)
        for index, capability in enumerate(target.compute_capabilities):
            config.set_compute_capability(compute_capability(trt, capability), index)
    timings = _timing_cache(config, target.timings) if target.timings else None
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        reason = first_line(problems[0]) if problems else "it gave no reason"
        raise ExportError(
            f"{path}: {trt.__name__} {trt.__version__} can't build bucket '{bucket}' for "
            f"{target.gpu}: {reason}; try another --precision, or another release of it"
        )
    if target.timings and timings is not None:
        with whole_file(target.timings) as partial:
            partial.write_bytes(timings.serialize())
    return bytes(plan)


def _timing_cache(config: Any, path: Path) -> Any:
    """The kept timings, attached to `config`; begun anew when the runtime refuses them, as it
    does those of another device or release."""
    for content in (path.read_bytes() if path.is_file() else b"", b""):
        cache = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return cache
    return None


def _refusal(parser: Any) -> str:
    """Why the parser refused, and the remedy."""
    if parser.num_errors == 0:
        return "finds no network in it; export the model again"
    error = parser.get_error(0)
    node = f"node '{error.node_name()}' ({error.node_operator()})"
    return (
        f"refuses {node}: {first_line(error.desc())}; "
        "export the model again, or run it with ONNX Runtime"
    )
