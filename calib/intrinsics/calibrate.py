"""From boards to a lens that can be believed: which model, which boards, how sure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calib.errors import BoardError, LensError
from calib.intrinsics.fit import Fit, Model, View, fit, refine
from calib.intrinsics.images import Boards
from calib.lens import Lens

Array = NDArray[np.float64]
# In order of preference: the usual lens, then those that bend further.
CANDIDATES = (
    Model("pinhole", 4),
    Model("pinhole", 5),
    Model("fisheye", 4),
    Model("pinhole", 8),
)
MIN_BOARDS = 4
FEW_BOARDS = 10
_OUTLIER = 2.5
"""Times the median board's error."""
_MAX_OUTLIERS = 0.1
"""Share of boards: more bad ones are no accident and stay, for all to see."""
_OTHER_KIND, _MORE_COEFFICIENTS = 1.1, 1.03
"""By this factor the held-out error must be smaller for a later model, and for one of the same
kind that only has more coefficients."""
_FOLDS = 5
_UNSURE = 0.02
"""Standard deviation over focal length above which the boards do not show it."""


@dataclass(frozen=True)
class Calibration:
    """`deviations`: standard deviation of fx fy cx cy and the coefficients. `rms_px` over all
    corners of the boards used; `heldout_rms_px` of boards that the lens was not fitted to.
    `outliers`: names of boards left out, with their error in pixels. `views` and `residuals`
    (N, 2) of the boards used. `heldout_by_model`: what the choice was made from."""

    lens: Lens
    deviations: Array
    rms_px: float
    heldout_rms_px: float
    views: tuple[View, ...]
    residuals: tuple[Array, ...]
    outliers: dict[str, float]
    heldout_by_model: dict[str, float]
    warnings: tuple[str, ...]


def calibrate(boards: Boards, kind: Literal["auto", "pinhole", "fisheye"] = "auto") -> Calibration:
    """Raises BoardError when the boards are too few, show too little or fit no lens."""
    if len(boards.views) < MIN_BOARDS:
        raise BoardError(
            f"{len(boards.views)} of {boards.total} images show the whole board; "
            f"take at least {FEW_BOARDS}, from near and far, tilted, in every corner"
        )
    models = [model for model in CANDIDATES if kind in ("auto", model.kind)]
    size = boards.width, boards.height
    fits = [f for model in models if (f := fit(model, boards.views, *size))]
    views, outliers = _without_outliers(fits, boards.views)
    if outliers:
        again = (refine(f.model, f.lens, views) for f in fits)
        fits = [f for f in again if f]
    usable = [(f, lens) for f in fits if (lens := _lens(f, views, *size))]
    if not usable:
        raise BoardError(
            f"no {'' if kind == 'auto' else kind + ' '}lens fits the boards; check the board's "
            "inner corners, its flatness, and that all images are of one camera"
        )
    heldout = [_heldout(f, views) for f, _ in usable]
    chosen = choose([f.model for f, _ in usable], heldout)
    best, lens = usable[chosen]
    deviations = np.sqrt(np.maximum(np.diag(best.covariance), 0))
    share = float((deviations[:2] / best.lens[:2]).max())
    if not share < _UNSURE:
        raise BoardError(
            f"the boards leave the focal length open by {share:.0%}; they are all at one angle "
            "or in one place: tilt the board by 30 degrees and more, each way"
        )
    return Calibration(
        lens,
        deviations,
        best.rms,
        heldout[chosen],
        tuple(views),
        best.residuals,
        outliers,
        {_name(f.model): error for (f, _), error in zip(usable, heldout, strict=True)},
        tuple(_warnings(views, lens, boards.resized)),
    )


def choose(models: Sequence[Model], heldout: Sequence[float]) -> int:
    """Which of the models, in order of preference, by their errors on boards held out."""
    first = next(i for i, error in enumerate(heldout) if error <= _OTHER_KIND * min(heldout))
    alike = [i for i, model in enumerate(models) if model.kind == models[first].kind]
    best = min(heldout[i] for i in alike)
    return next(i for i in alike if heldout[i] <= _MORE_COEFFICIENTS * best)


def _name(model: Model) -> str:
    return f"{model.kind} {model.coefficients}"


def _lens(found: Fit, views: Sequence[View], width: int, height: int) -> Lens | None:
    """None where the polynomial folds where boards were seen: no inverse there."""
    fx, fy, cx, cy, *distortion = (float(x) for x in found.lens)
    try:
        lens = Lens(found.model.kind, width, height, fx, fy, cx, cy, tuple(distortion))
    except LensError:
        return None
    corners = np.concatenate([view.pixels for view in views])
    return lens if np.isfinite(lens.unproject(corners)).all() else None


def _without_outliers(
    fits: Sequence[Fit], views: Sequence[View]
) -> tuple[list[View], dict[str, float]]:
    """Boards whose error stands out from the others', judged by the model that fits best."""
    kept = list(views)
    outliers: dict[str, float] = {}
    best = min(fits, key=lambda f: f.rms, default=None)
    while best and len(outliers) < int(_MAX_OUTLIERS * len(views)):
        errors = best.rms_of_views
        worst = int(errors.argmax())
        if errors[worst] < _OUTLIER * np.median(errors):
            break
        outliers[kept.pop(worst).name] = round(float(errors[worst]), 3)
        best = refine(best.model, best.lens, kept, poses=np.delete(best.poses, worst, axis=0))
    return kept, outliers


def _heldout(found: Fit, views: Sequence[View]) -> float:
    """Root mean squared error of boards that had no part in the lens: fitted to the others,
    posed by every other corner, measured on the rest."""
    folds = min(_FOLDS, len(views))
    squares = []
    for fold in range(folds):
        others = [i for i in range(len(views)) if i % folds != fold]
        lens = refine(
            found.model, found.lens, [views[i] for i in others], poses=found.poses[others]
        )
        if lens is None:
            return float("inf")
        for view in views[fold::folds]:
            half, rest = _every_other(view, 0), _every_other(view, 1)
            posed = refine(found.model, lens.lens, [half], fixed_lens=True)
            if posed is None:
                return float("inf")
            projected, _ = found.model.project(lens.lens, posed.poses[0], rest.points)
            squares.append(((rest.pixels - projected) ** 2).sum(axis=1))
    return float(np.sqrt(np.concatenate(squares).mean()))


def _every_other(view: View, first: int) -> View:
    points, pixels = (np.ascontiguousarray(x[first::2]) for x in (view.points, view.pixels))
    return View(view.name, points, pixels)


def _warnings(views: Sequence[View], lens: Lens, resized: Sequence[str]) -> list[str]:
    lines = []
    if resized:
        lines.append(
            f"{', '.join(resized)}: not quite {lens.width}x{lens.height}, used as they are; "
            "calibrate from pictures as the camera gives them"
        )
    if len(views) < FEW_BOARDS:
        lines.append(f"only {len(views)} boards; {FEW_BOARDS} and more make a lens to rely on")
    corners = np.concatenate([view.pixels for view in views])
    size = np.array([lens.width, lens.height])
    cells = np.unique((corners / size * 5).astype(int).clip(0, 4), axis=0)
    if len(cells) < 18:
        lines.append(
            f"corners in {len(cells)} of 25 parts of the image: the lens is a guess in the others"
        )
    x, y = np.meshgrid(np.linspace(0, lens.width - 1, 33), np.linspace(0, lens.height - 1, 25))
    blind = float(np.isnan(lens.unproject(np.stack([x, y], axis=-1))[..., 0]).mean())
    if blind:
        lines.append(
            f"{blind:.0%} of the image, beyond the boards, has no ray: right outside a fisheye's "
            "image circle, else take boards there"
        )
    return lines
