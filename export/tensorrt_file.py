"""Engine files: the plans of one model, one per resolution bucket, and what they were made for.

A plan is machine code in a format of TensorRT's own. It says neither which model it came from
nor whether this machine may run it, so it never travels alone. The file is an uncompressed zip,
whose checksums find damage: `manifest.json`, and `NAME.plan` for each bucket.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from calib.json_text import load_json
from export import checksum
from export.errors import ExportError
from export.gpu import Gpu
from export.whole_file import whole_file
from perception.errors import SpecError
from perception.spec import ModelSpec

SUFFIX = ".engine"
ANY_DRIVER = "any"
_SCHEMA = "octoview.engine/1"
_MANIFEST = "manifest.json"
_DAMAGE = (zipfile.BadZipFile, KeyError, TypeError, ValueError, EOFError, OSError, RuntimeError)
"""What a zip whose directory leads astray makes Python raise."""


@dataclass(frozen=True)
class EngineKey:
    """Everything that a plan depends on. A plan of another key is never run."""

    model: str
    """SHA-256 of the ONNX file that was asked for, hexadecimal."""
    precision: str
    runtime: str
    """Python module: `tensorrt` or `tensorrt_rtx`."""
    version: str
    gpu: str
    """The GPU's name and compute capability, or the compute capabilities that were asked for."""
    driver: str
    """`any` for plans built ahead of time: TensorRT-RTX compiles those on the GPU's machine."""
    max_batch: int

    @property
    def digest(self) -> str:
        """SHA-256 over all fields, hexadecimal."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def needed_on(self, runtime: str, version: str, gpu: Gpu) -> "EngineKey":
        """The key that a plan of this model must have to run there: this one, if it may."""
        built_ahead = self.driver == ANY_DRIVER
        covered = built_ahead and gpu.compute_capability in self.gpu.split()
        return replace(
            self,
            runtime=runtime,
            version=version,
            gpu=self.gpu if covered else gpu.key,
            driver=self.driver if built_ahead else gpu.driver,
        )

    def differences(self, other: "EngineKey") -> list[str]:
        """Fields in which the keys differ, as `version 1.6, not 1.7`: first ours, then theirs."""
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return [f"{name} {_short(a)}, not {_short(b)}" for name, a, b in pairs if a != b]


@dataclass(frozen=True)
class EngineFile:
    """A whole, readable engine file. Plans are read when asked for."""

    path: Path
    key: EngineKey
    metadata: Mapping[str, str]
    """The ONNX file's, the ModelSpec among it."""
    spec: ModelSpec

    def plan(self, bucket: str) -> bytes:
        """The serialized engine of one bucket. Raises ExportError when it is damaged."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(f"{bucket}.plan")
        except _DAMAGE as error:
            raise ExportError(f"{self.path}: plan '{bucket}' is damaged; export again") from error


def read_model(path: Path) -> bytes:
    """An ONNX file's bytes. Raises ExportError when there is no such file, or it is damaged."""
    if not path.is_file():
        raise ExportError(f"{path}: no such model; check the path, or `octoview export` one")
    content = path.read_bytes()
    if damage := checksum.damage(content):
        raise ExportError(f"{path}: {damage}; export it again")
    return content


def model_hash(model: bytes) -> str:
    """SHA-256 of the file, hexadecimal."""
    return hashlib.sha256(model).hexdigest()


def write_engine(
    path: Path, key: EngineKey, metadata: Mapping[str, str], plans: Mapping[str, bytes]
) -> None:
    """Write the file whole; a failure leaves `path` as it was. Raises OSError."""
    manifest = {"schema": _SCHEMA, "key": asdict(key), "metadata": dict(metadata)}
    with whole_file(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        archive.writestr(_MANIFEST, json.dumps(manifest, indent=2))
        for bucket, plan in plans.items():
            archive.writestr(f"{bucket}.plan", plan)


def read_engine(path: Path) -> EngineFile:
    """Raises ExportError when the file is missing, damaged, no engine file, or its ModelSpec
    does not match its hash or its plans."""
    if not path.is_file():
        raise ExportError(f"{path}: no such engine; check the path, or `octoview export` one")
    try:
        with zipfile.ZipFile(path) as archive:
            if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
                raise zipfile.BadZipFile("is compressed, and may claim any size")
            damaged = archive.testzip()
            if damaged is not None:
                raise zipfile.BadZipFile(f"{damaged} has another checksum")
            manifest = load_json(archive.read(_MANIFEST))
            names = set(archive.namelist()) - {_MANIFEST}
        if manifest["schema"] != _SCHEMA:
            raise ValueError(f"its schema is {manifest['schema']}, this program reads {_SCHEMA}")
        key, metadata = EngineKey(**manifest["key"]), dict(manifest["metadata"])
    except _DAMAGE as error:
        raise ExportError(
            f"{path}: is no engine file that can be read ({error}); "
            "export it again with `octoview export --engine`"
        ) from error
    spec = read_spec(path, metadata)
    wanted = {f"{bucket}.plan" for bucket in spec.buckets}
    if names != wanted:
        raise ExportError(
            f"{path}: holds {', '.join(sorted(names)) or 'no plan'}, its spec says "
            f"{', '.join(sorted(wanted))}; export it again"
        )
    return EngineFile(path, key, metadata, spec)


def read_spec(path: Path, metadata: Mapping[str, str]) -> ModelSpec:
    """The ModelSpec of an artefact's metadata, checked against its hash. Raises ExportError."""
    try:
        return ModelSpec.from_metadata(metadata)
    except SpecError as error:
        raise ExportError(f"{path}: {error}") from error


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if len(text) == hashlib.sha256().digest_size * 2 else text
