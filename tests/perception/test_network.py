"""The trunk against the paper, the decoder in the graph against a plain search."""

import json

import numpy as np
import pytest
import torch

from perception.errors import SpecError
from perception.network import INCEPTION, LEVELS, Context, OctoNet, Predictions, Trunk
from perception.spec import PRESETS, ModelSpec

# Szegedy et al. 2014, table 1: output channels and parameters (thousands; K = 1024, with biases).
PAPER = {
    "3a": (256, 159),
    "3b": (480, 380),
    "4a": (512, 364),
    "4b": (512, 437),
    "4c": (512, 463),
    "4d": (528, 580),
    "4e": (832, 840),
    "5a": (832, 1072),
    "5b": (1024, 1388),
}


@pytest.fixture(scope="module")
def nano() -> OctoNet:
    torch.manual_seed(0)
    network = OctoNet(PRESETS["nano"])
    with torch.no_grad():  # settle batch norm, or activations explode
        for _ in range(20):
            network(torch.randn(2, 3, 64, 96))
    return network.eval()


@pytest.mark.parametrize("name", INCEPTION)
def test_inception_modules_have_the_papers_channels_and_parameters(name: str) -> None:
    module = Trunk().inception[name]
    channels, parameters = PAPER[name]
    convolutions = [m for m in module.modules() if isinstance(m, torch.nn.Conv2d)]
    # Batch norm's shift stands where the paper has a bias.
    count = sum(c.weight.numel() + c.out_channels for c in convolutions)
    assert module.outputs == channels
    # The paper's two columns disagree by up to 8 % (4c: 498K by its channels, 463K as printed).
    assert count / 1024 == pytest.approx(parameters, rel=0.08)


def test_trunk_has_the_weights_that_the_channel_table_gives() -> None:
    table = {  # inputs, then the table's #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj
        "3a": (192, 64, 96, 128, 16, 32, 32),
        "3b": (256, 128, 128, 192, 32, 96, 64),
        "4a": (480, 192, 96, 208, 16, 48, 64),
        "4b": (512, 160, 112, 224, 24, 64, 64),
        "4c": (512, 128, 128, 256, 24, 64, 64),
        "4d": (512, 112, 144, 288, 32, 64, 64),
        "4e": (528, 256, 160, 320, 32, 128, 128),
        "5a": (832, 256, 160, 320, 32, 128, 128),
        "5b": (832, 384, 192, 384, 48, 128, 128),
    }
    expected = 7 * 7 * 3 * 64 + 64 * 64 + 3 * 3 * 64 * 192
    for n, c1, r3, c3, r5, c5, pool in table.values():
        expected += n * (c1 + r3 + r5 + pool) + 9 * r3 * c3 + 25 * r5 * c5
    convolutions = [m for m in Trunk().modules() if isinstance(m, torch.nn.Conv2d)]
    assert sum(c.weight.numel() for c in convolutions) == expected == 5_966_272


def test_trunk_strides_and_channels_are_published() -> None:
    with torch.no_grad():
        features = Trunk().eval()(torch.zeros(1, 3, 224, 224))
    assert [tuple(features[name].shape[1:]) for name in LEVELS] == [
        (192, 56, 56),
        (480, 28, 28),
        (832, 14, 14),
        (1024, 7, 7),
    ]


def test_width_multiplier_scales_every_layer() -> None:
    channels = Trunk(0.5).channels
    assert [channels[name] for name in LEVELS] == [96, 240, 416, 512]


def test_context_sees_the_whole_image_and_starts_as_nothing_added() -> None:
    context = Context(8).eval()
    x = torch.randn(1, 8, 40, 40)
    far = x.clone()
    far[:, :, -1, -1] += 100.0  # beyond the reach of all dilations at the first cell
    with torch.no_grad():
        assert not torch.equal(context(x)[..., 0, 0], context(far)[..., 0, 0])
    decoder = OctoNet(PRESETS["nano"]).eval().decoder.context
    x = torch.randn(1, PRESETS["nano"].decoder_channels, 5, 7)
    with torch.no_grad():
        assert torch.equal(decoder(x), x)


def test_auxiliary_classifiers_train_the_trunk_and_are_not_shipped() -> None:
    network = OctoNet(PRESETS["nano"], auxiliary=True)
    predictions = network(torch.randn(2, 3, 64, 96))
    assert [tuple(x.shape) for x in predictions.auxiliary] == [(2, 12, 4, 6)] * 2
    sum(x.square().mean() for x in predictions.auxiliary).backward()
    modules = network.trunk.inception.items()
    reached = [name for name, m in modules if m.branch1[0].weight.grad is not None]
    assert reached == ["3a", "3b", "4a", "4b", "4c", "4d"]
    shipped = OctoNet(PRESETS["nano"])
    extra = network.state_dict().keys() - shipped.state_dict().keys()
    assert extra and all(name.startswith("auxiliary.") for name in extra)
    assert shipped(torch.randn(2, 3, 64, 96)).auxiliary == ()


@pytest.mark.parametrize(("height", "width"), [(240, 320), (480, 640), (100, 132)])
def test_outputs_have_the_specs_names_and_shapes(nano: OctoNet, height: int, width: int) -> None:
    with torch.no_grad():
        outputs = nano(torch.randn(2, 3, height, width))
    sizes = {"batch": 2, "height/4": height // 4, "width/4": width // 4}
    assert list(outputs) == [tensor.name for tensor in nano.spec.outputs]
    for tensor in nano.spec.outputs:
        assert outputs[tensor.name].shape == tuple(sizes.get(s, s) for s in tensor.shape)
        assert str(outputs[tensor.name].dtype) == f"torch.{tensor.dtype}"


def test_two_frame_input_uses_both_frames() -> None:
    spec = PRESETS["nano"].model_copy(update={"frames": 2})
    network = OctoNet(spec).eval()
    images = torch.randn(1, 6, 64, 64)
    other_past = images.clone()
    other_past[:, :3] = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert not torch.equal(network(images)["scene"], network(other_past)["scene"])


def test_peaks_decode_to_the_objects_they_stand_for(nano: OctoNet) -> None:
    heat = torch.full((1, 3, 30, 40), -9.0)
    box = torch.ones(1, 4, 30, 40)
    ground = torch.zeros(1, 2, 30, 40)
    heat[0, 0, 10, 20], heat[0, 2, 5, 7] = 4.0, 2.0
    heat[0, 0, 10, 21] = 3.9  # beside a higher peak of its class: no object of its own
    box[0, :, 10, 20] = torch.tensor([6.0, 4.0, 10.0, 8.0])
    ground[0, :, 10, 20] = torch.tensor([2.0, 9.0])
    out = nano.decode(Predictions(torch.zeros(1), heat, box, ground))
    assert out["labels"][0, :2].tolist() == [0, 2]
    assert out["scores"][0, :2].tolist() == pytest.approx(torch.sigmoid(heat.new([4, 2])).tolist())
    assert out["scores"][0, 2] < 0.001
    # Cell (row 10, column 20) has its centre at pixel (81.5, 41.5).
    assert out["boxes"][0, 0].tolist() == [75.5, 37.5, 91.5, 49.5]
    assert out["ground_points"][0, 0].tolist() == [83.5, 50.5]


def test_spec_survives_json_and_its_hash_sees_a_change() -> None:
    spec = PRESETS["base"]
    again = ModelSpec.from_json(spec.to_json())
    assert again == spec and again.hash == spec.hash
    assert spec.model_copy(update={"mean": (0.5, 0.5, 0.5)}).hash != spec.hash


def test_batch_of_four_equals_four_batches_of_one(nano: OctoNet) -> None:
    images = torch.randn(4, 3, 64, 96)
    with torch.no_grad():
        together = nano(images)["scene"].numpy()
        alone = np.concatenate([nano(image[None])["scene"].numpy() for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        {"output_stride": 0},
        {"std": [0.2, 0.0, 0.2]},
        {"mean": [0.2, float("nan"), 0.2]},
        {"top_k": 10**9},
        {"buckets": {"large": {"width": 2**40, "height": 4}}},
    ],
)
def test_a_spec_that_no_network_has_is_refused(change: dict[str, object]) -> None:
    content = json.loads(PRESETS["nano"].to_json())
    assert ModelSpec.from_json(json.dumps(content)) == PRESETS["nano"]
    with pytest.raises(SpecError, match=next(iter(change))):
        ModelSpec.from_json(json.dumps(content | change))
