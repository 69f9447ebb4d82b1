"""A sealed model is any other's equal, until one of its bytes is changed."""

from importlib.util import find_spec
from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import EngineError
from deploy.loop.engine import load_engine
from export.checksum import SIZE, damage, seal
from export.errors import ExportError
from export.tensorrt_file import read_model
from perception.spec import CHECKSUM_KEY, PRESETS
from tests.deploy.stand_in import write_model

WEIGHTS = Path(__file__).parents[2] / "perception" / "weights"


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_model(tmp_path_factory.mktemp("sealed") / "model.onnx", PRESETS["nano"])
    assert damage(path.read_bytes()) == ""  # no checksum, nothing to hold it to
    before = onnx.load(path)
    seal(path)
    after = onnx.load(path)
    assert after.graph == before.graph and after.metadata_props[-1].key == CHECKSUM_KEY
    return path


def test_a_sealed_model_loads_and_a_damaged_one_is_refused(sealed: Path, tmp_path: Path):
    assert load_engine(sealed).spec == PRESETS["nano"]
    content = bytearray(sealed.read_bytes())
    place = content.index(b"stand_in")  # the graph's name: no runtime minds another one
    content[place] ^= 1
    other = tmp_path / "other.onnx"
    other.write_bytes(content[:-SIZE])
    load_engine(other)
    other.write_bytes(content)
    with pytest.raises(EngineError, match=r"other\.onnx: its SHA-256 is \w{12}, it was \w{12}"):
        load_engine(other)
    if find_spec("openvino"):
        with pytest.raises(EngineError, match="SHA-256"):
            load_engine(other, engine="openvino")
    with pytest.raises(ExportError, match="SHA-256"):
        read_model(other)


@given(st.data())
def test_every_bit_counts(sealed: Path, data: st.DataObject):
    content = bytearray(sealed.read_bytes())
    assert damage(bytes(content)) == ""
    place = data.draw(st.integers(0, len(content) - SIZE - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    assert "SHA-256" in damage(bytes(content))


@pytest.mark.parametrize("name", ["nano.onnx", "nano.int8.onnx", "surround.onnx"])
def test_shipped_models_are_sealed(name: str):
    content = bytearray((WEIGHTS / name).read_bytes())
    assert damage(bytes(content)) == ""
    content[len(content) // 2] ^= 1
    assert damage(bytes(content)) != ""
