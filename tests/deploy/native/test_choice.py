"""Which kernels the loop takes, and what is said where the native ones are not built."""

import pytest

from calib.rig import load_rig
from deploy import native
from deploy.commands import doctor
from deploy.errors import EngineError
from deploy.loop import preprocess
from deploy.native import is_built
from perception.spec import PRESETS


def test_auto_takes_what_is_built():
    batches = preprocess.make_batches(load_rig("hw2"), PRESETS["nano"])
    assert {batch.kernels for batch in batches} == {"native" if is_built() else "reference"}


def test_without_a_compiler_the_reference_serves_and_the_remedy_is_told(monkeypatch):
    for module in (native, doctor):
        monkeypatch.setattr(module, "is_built", lambda: False)
    (batch, _) = preprocess.make_batches(load_rig("hw2"), PRESETS["nano"])
    assert batch.kernels == "reference"
    (finding,) = (found for found in doctor.examine() if found.name == "native")
    assert finding.state == "absent" and "compiler" in finding.detail
    with pytest.raises(EngineError, match="compiler"):
        preprocess.make_batches(load_rig("hw2"), PRESETS["nano"], "native")
