"""The network: GoogLeNet trunk, top-down decoder, scene and object heads.

Trunk: Szegedy et al. 2014, "Going deeper with convolutions", table 1, with batch norm
(Ioffe & Szegedy 2015) and without the classifier, so it is fully convolutional.
Decoder: feature pyramid (Lin et al. 2017) below a pyramid of atrous convolutions (Chen et al.
2017, "Rethinking atrous convolution"). Objects: "Objects as Points" (Zhou et al.
2019), whose peaks need no non-maximum suppression beyond a 3x3 max pool, with box sides
measured from the centre cell as in FCOS (Tian et al. 2019).

Shapes beside the code are for one image of H x W; strides are written as H/4.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.spec import ModelSpec


class Widths(NamedTuple):
    """One row of the paper's table 1: output channels of an inception module's branches."""

    conv1: int
    reduce3: int
    conv3: int
    reduce5: int
    conv5: int
    pool: int


STEM = (64, 64, 192)
INCEPTION: dict[str, Widths] = {
    "3a": Widths(64, 96, 128, 16, 32, 32),
    "3b": Widths(128, 128, 192, 32, 96, 64),
    "4a": Widths(192, 96, 208, 16, 48, 64),
    "4b": Widths(160, 112, 224, 24, 64, 64),
    "4c": Widths(128, 128, 256, 24, 64, 64),
    "4d": Widths(112, 144, 288, 32, 64, 64),
    "4e": Widths(256, 160, 320, 32, 128, 128),
    "5a": Widths(256, 160, 320, 32, 128, 128),
    "5b": Widths(384, 192, 384, 48, 128, 128),
}


def conv(
    inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Convolution, batch norm, ReLU; output sides are ceil(input / stride)."""
    padding = kernel // 2 * dilation
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Inception(nn.Module):
    """The paper's figure 2(b): four branches of one input, concatenated."""

    def __init__(self, inputs: int, widths: Widths) -> None:
        super().__init__()
        w = widths
        self.branch1 = conv(inputs, w.conv1, 1)
        self.branch3 = nn.Sequential(conv(inputs, w.reduce3, 1), conv(w.reduce3, w.conv3, 3))
        self.branch5 = nn.Sequential(conv(inputs, w.reduce5, 1), conv(w.reduce5, w.conv5, 5))
        self.branch_pool = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), conv(inputs, w.pool, 1))
        self.outputs = w.conv1 + w.conv3 + w.conv5 + w.pool

    def forward(self, x: Tensor) -> Tensor:
        branches = (self.branch1(x), self.branch3(x), self.branch5(x), self.branch_pool(x))
        return torch.cat(branches, dim=1)


class Trunk(nn.Module):
    """GoogLeNet to inception 5b: the features after the stem and after each inception module.

    Published channel counts times `width`; `frames` images of three channels come in.
    """

    def __init__(self, width: float = 1.0, frames: int = 1) -> None:
        super().__init__()

        def scaled(channels: int) -> int:
            return round(channels * width)

        first, reduce, second = map(scaled, STEM)
        self.stem = nn.Sequential(
            conv(3 * frames, first, 7, stride=2),
            nn.MaxPool2d(3, 2, padding=1),
            conv(first, reduce, 1),
            conv(reduce, second, 3),
        )
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        self.channels = {"stem": second}
        self.inception = nn.ModuleDict()
        for name, widths in INCEPTION.items():
            module = Inception(second, Widths(*map(scaled, widths)))
            self.inception[name] = module
            self.channels[name] = second = module.outputs

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = {"stem": self.stem(x)}  # 192 x H/4
        last = "stem"
        for name, module in self.inception.items():  # 3: H/8, 4: H/16, 5: H/32
            x = features[last]
            features[name] = module(x if name[0] == last[0] else self.pool(x))
            last = name
        return features


LEVELS = ("stem", "3b", "4e", "5b")
"""The trunk's last features of strides 4, 8, 16, 32."""
AUXILIARY = ("4a", "4d")
"""Where GoogLeNet had its auxiliary classifiers."""


class Context(nn.Module):
    """What surrounds a cell, near to far: atrous convolutions and the mean of the image."""

    DILATIONS = (1, 2, 4)

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.near_to_far = nn.ModuleList(
            conv(channels, channels, 3, dilation=rate) for rate in self.DILATIONS
        )
        self.image = conv(channels, channels, 1)
        self.project = conv(channels * (len(self.DILATIONS) + 1), channels, 1)

    def start_as_nothing_added(self) -> None:
        """Then it can join weights that were trained without it."""
        norm = self.project[1]
        assert isinstance(norm, nn.BatchNorm2d)
        nn.init.zeros_(norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        mean = self.image(x.mean(dim=(2, 3), keepdim=True))
        branches = [branch(x) for branch in self.near_to_far] + [mean.expand_as(x)]
        return x + self.project(torch.cat(branches, dim=1))


class Decoder(nn.Module):
    """Top-down pathway: from stride 32 to one map of `channels` at stride 4."""

    def __init__(self, inputs: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(conv(n, channels, 1) for n in inputs)
        self.context = Context(channels)
        self.smooth = nn.ModuleList(conv(channels, channels, 3) for _ in inputs)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        x = self.smooth[-1](self.context(self.lateral[-1](features[-1])))
        for i in range(len(features) - 2, -1, -1):
            fine = self.lateral[i](features[i])
            # To the finer map's size, not by two: a side of 15 pools to 8.
            x = self.smooth[i](fine + F.interpolate(x, size=fine.shape[-2:], mode="nearest"))
        return x


def _bias(head: nn.Conv2d) -> Tensor:
    assert head.bias is not None
    return head.bias


class Predictions(NamedTuple):
    """Raw head outputs at stride 4, what the losses see."""

    scene: Tensor  # N x scene classes x H/4 x W/4, logits
    heat: Tensor  # N x object classes x H/4 x W/4, logits of "an object's centre is here"
    box: Tensor  # N x 4 x H/4 x W/4, left, top, right, bottom distance in input pixels, > 0
    ground: Tensor  # N x 2 x H/4 x W/4, offset to the ground point in input pixels
    auxiliary: tuple[Tensor, ...] = ()  # scene logits at stride 16, for training alone

    def float(self) -> "Predictions":
        """In single precision, which the losses need."""
        return Predictions(
            self.scene.float(),
            self.heat.float(),
            self.box.float(),
            self.ground.float(),
            tuple(x.float() for x in self.auxiliary),
        )


class OctoNet(nn.Module):
    """One network for every camera. In training mode it returns `Predictions`, in eval mode
    a dict of the tensors that `ModelSpec.outputs` names.

    With `auxiliary` it has GoogLeNet's auxiliary classifiers, here of each cell: they bring the
    gradient to the middle of the trunk in training and are not part of what is shipped.
    """

    def __init__(self, spec: ModelSpec, auxiliary: bool = False) -> None:
        super().__init__()
        self.spec = spec
        width, objects = spec.decoder_channels, len(spec.object_classes)

        def classifier(inputs: int, kernel: int) -> nn.Sequential:
            head = nn.Conv2d(width, len(spec.scene_classes), 1)
            return nn.Sequential(conv(inputs, width, kernel), head)

        self.trunk = Trunk(spec.width_multiplier, spec.frames)
        channels = self.trunk.channels
        self.decoder = Decoder(tuple(channels[name] for name in LEVELS), width)
        self.scene = classifier(width, kernel=3)
        self.auxiliary = nn.ModuleDict(
            {name: classifier(channels[name], kernel=1) for name in AUXILIARY if auxiliary}
        )
        self.object_features = conv(width, width, 3)
        self.heat = nn.Conv2d(width, objects, 1)
        self.box = nn.Conv2d(width, 4, 1)
        self.ground = nn.Conv2d(width, 2, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.decoder.context.start_as_nothing_added()
        for head in (self.heat, self.box, self.ground):
            nn.init.normal_(head.weight, std=0.01)
        # Centres are rare: start from a probability of 0.01 (Lin et al. 2017, focal loss).
        nn.init.constant_(_bias(self.heat), -4.6)
        nn.init.constant_(_bias(self.box), 1.0)

    def predict(self, images: Tensor) -> Predictions:
        """Head outputs for images N x 3*frames x H x W, H and W multiples of 4."""
        features = self.trunk(images)
        shared = self.decoder(tuple(features[name] for name in LEVELS))
        objects = self.object_features(shared)
        stride = self.spec.output_stride
        return Predictions(
            scene=self.scene(shared),
            heat=self.heat(objects),
            # exp keeps sides positive; the clamp keeps half precision finite.
            box=self.box(objects).clamp(-4, 6).exp() * stride,
            ground=self.ground(objects) * (4 * stride),
            auxiliary=tuple(head(features[name]) for name, head in self.auxiliary.items()),
        )

    def forward(self, images: Tensor) -> Predictions | dict[str, Tensor]:
        predictions = self.predict(images)
        if self.training:
            return predictions
        return {"scene": predictions.scene, **self.decode(predictions)}

    def decode(self, predictions: Predictions) -> dict[str, Tensor]:
        """The `top_k` highest peaks of the heat maps as boxes, in ONNX-friendly operators."""
        heat = predictions.heat.sigmoid()
        height, width = heat.shape[-2:]
        peak = F.max_pool2d(heat, 3, stride=1, padding=1)
        heat = torch.where(heat == peak, heat, torch.zeros_like(heat))
        scores, index = heat.flatten(1).topk(self.spec.top_k, dim=1)  # N x K
        cells = height * width
        # Truncation equals floor here and exports as one plain division.
        labels = torch.div(index, cells, rounding_mode="trunc")
        cell = index - labels * cells

        def at_cells(x: Tensor) -> Tensor:
            channels = x.shape[1]
            where = cell.unsqueeze(1).expand(-1, channels, -1)
            return x.flatten(2).gather(2, where).transpose(1, 2)  # N x K x channels

        row = torch.div(cell, width, rounding_mode="trunc")
        column = cell - row * width
        stride = self.spec.output_stride
        # A cell's centre: pixel centres are at integers, so the first of four is at 1.5.
        centre = torch.stack((column, row), dim=2).to(heat.dtype) * stride + (stride - 1) / 2
        sides = at_cells(predictions.box)
        boxes = torch.cat((centre - sides[..., :2], centre + sides[..., 2:]), dim=2)
        ground = centre + at_cells(predictions.ground)
        return {"boxes": boxes, "scores": scores, "labels": labels, "ground_points": ground}
