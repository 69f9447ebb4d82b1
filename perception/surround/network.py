"""The surround head: scene maps of any number of cameras in, one grid on the ground out.

What each camera sees at the points over a cell is looked up (lookup.py), encoded alike for every
camera, and joined by mean and maximum, which know no order or number of cameras (Zaheer et al.
2017, "Deep Sets"). A small U-Net (Ronneberger et al. 2015) then sees the ground as a whole.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.network import conv
from perception.surround.spec import SurroundSpec


class SurroundHead(nn.Module):
    """Logits (layers, rows, columns) of `SurroundSpec.layers` from `SurroundSpec.inputs`."""

    groups: Tensor
    here: Tensor

    def __init__(self, spec: SurroundSpec) -> None:
        super().__init__()
        self.spec = spec
        width, heights = spec.width, len(spec.heights)
        channels = heights * (len(spec.groups) + 1)
        self.encode = nn.Sequential(nn.Conv2d(channels, width, 1), nn.ReLU())
        self.fine = nn.Sequential(conv(2 * width + 4, width, 3), conv(width, width, 3))
        self.middle = nn.Sequential(
            conv(width, 2 * width, 3, stride=2), conv(2 * width, 2 * width, 3)
        )
        self.coarse = nn.Sequential(
            conv(2 * width, 3 * width, 3, stride=2),
            conv(3 * width, 3 * width, 3, dilation=2),
            conv(3 * width, 3 * width, 3, dilation=4),
            conv(3 * width, 2 * width, 1),
        )
        self.join_middle = nn.Sequential(conv(2 * width, 2 * width, 3), conv(2 * width, width, 1))
        self.join_fine = conv(width, width, 3)
        self.classify = nn.Conv2d(width, len(spec.layers), 1)
        self.register_buffer("groups", _groups(spec), persistent=False)
        self.register_buffer("here", _here(spec), persistent=False)

    def forward(self, scene: Tensor, lookup: Tensor) -> Tensor:
        joined = self.join(self.look_up(scene, lookup), lookup[..., 2])
        return self.grid(joined[None])[0]

    def look_up(self, scene: Tensor, lookup: Tensor) -> Tensor:
        """Probability of each group at each look: (looks, groups, heights, rows, columns). Has no
        parameters."""
        heights, (rows, columns) = len(self.spec.heights), self.spec.shape
        # Softmax and the sums over each group in one: half the time of a softmax over channels.
        likelihood = (scene - scene.amax(dim=1, keepdim=True)).exp()
        sums = F.conv2d(likelihood, self.groups).transpose(0, 1)
        stacked = (sums[:-1] / sums[-1:]).flatten(1, 2)[None]  # 1, groups, cameras * height, width
        places = lookup[..., :2].reshape(1, -1, columns, 2)
        seen = F.grid_sample(stacked, places, padding_mode="border", align_corners=False)
        seen = seen.reshape(len(self.spec.groups), -1, heights, rows, columns)
        return seen.transpose(0, 1)

    def join(self, seen: Tensor, weight: Tensor) -> Tensor:
        """What `look_up` gave, all looks together: (2 * width + 4, rows, columns).
        weight: (looks, heights, rows, columns)."""
        visible = (weight > 0).to(seen.dtype).unsqueeze(1)
        seen = torch.cat([seen * visible, visible], dim=1).flatten(1, 2)
        weight = weight.amax(dim=1, keepdim=True)
        encoded = self.encode(seen) * (weight > 0).to(seen.dtype)
        total = weight.sum(dim=0)
        mean = (encoded * weight).sum(dim=0) / total.clamp(min=1e-3)
        return torch.cat([mean, encoded.amax(dim=0), torch.log1p(total), self.here])

    def grid(self, lifted: Tensor) -> Tensor:
        """Logits (N, layers, rows, columns) of what `join` gave."""
        fine = self.fine(lifted)
        middle = self.middle(fine)
        middle = self.join_middle(middle + _enlarged(self.coarse(middle), middle))
        return self.classify(self.join_fine(fine + _enlarged(middle, fine)))


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    # To the finer grid's size, not by two: a side of 25 pools to 13.
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def _groups(spec: SurroundSpec) -> Tensor:
    """(groups + 1, scene classes, 1, 1): 1 where the class is of the group, and of the last, which
    is all classes."""
    groups = (*spec.groups, spec.scene_classes)
    rows = [[float(name in group) for name in spec.scene_classes] for group in groups]
    return torch.tensor(rows)[..., None, None]


def _here(spec: SurroundSpec) -> Tensor:
    """(3, rows, columns): direction from the vehicle to each cell, and distance / 40 m."""
    places = torch.from_numpy(spec.points()[0, :, :, :2]).float()
    distance = places.norm(dim=-1, keepdim=True)
    return torch.cat([places / distance, distance / 40], dim=-1).permute(2, 0, 1)
