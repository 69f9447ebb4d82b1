"""Growth of an engine that takes every size, and of one that takes few."""

from pathlib import Path

import numpy as np

from deploy.bench.growth import growth
from deploy.errors import EngineError
from deploy.loop.engine import Engine, Outputs, load_engine


def test_sizes_that_an_engine_refuses_are_left_out(model: Path) -> None:
    engine = load_engine(model, engine="onnxruntime")
    image = np.zeros((1, 3, 192, 256), np.float32)

    class Fixed(Engine):
        """As plans are: one size, and few images at once."""

        def infer(self, images: np.ndarray) -> Outputs:
            if images.shape[2:] != (192, 256) or len(images) > 4:
                raise EngineError("can't run on these")
            return engine.infer(images)

    free, fixed = growth(engine, image, 1), growth(Fixed(), image, 1)
    assert [one["cameras"] for one in free["cameras"]] == [1, 2, 4, 8, 16]
    assert [one["size"] for one in free["pixels"]] == [
        [128, 96],
        [256, 192],
        [384, 288],
        [512, 384],
    ]
    assert [one["cameras"] for one in fixed["cameras"]] == [1, 2, 4]
    assert [one["size"] for one in fixed["pixels"]] == [[256, 192]]
    assert all(one["seconds"]["p50"] > 0 for one in fixed["cameras"])
