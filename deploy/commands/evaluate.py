"""`octoview evaluate`: a model's scores on annotated images that it was not trained on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.progress import Ticker
from deploy.loop.engine import load_engine, shipped_model
from perception.data.camvid import CamVid
from perception.data.dataset import Dataset
from perception.data.synthetic import Synthetic
from perception.errors import PerceptionError
from perception.spec import ModelSpec

if TYPE_CHECKING:
    from perception.evaluate import Predict, Scores

app = typer.Typer(help="Score a model on annotated images.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="Folder of the dataset.")]
Model = Annotated[
    Path | None,
    typer.Option(help=".onnx or .safetensors file; the shipped nano.onnx by default."),
]


@app.command()
def camvid(
    path: Folder,
    split: Annotated[str, typer.Option(help="Folder of the images within PATH.")] = "val",
    model: Model = None,
    json_file: JsonFile = None,
) -> None:
    """Score on a CamVid split; its boxes are derived from masks.

    Example: octoview evaluate camvid CamVid --split val --json scores.json
    """
    _score(CamVid(path / split), model, json_file)


@app.command()
def sim(path: Folder, model: Model = None, json_file: JsonFile = None) -> None:
    """Score on a folder of rendered views.

    Example: octoview evaluate sim views/test --model runs/nano/weights.safetensors
    """
    _score(Synthetic(path), model, json_file)


def _score(dataset: Dataset, model: Path | None, json_file: Path | None) -> None:
    try:
        from perception.evaluate import evaluate
    except ImportError as error:
        raise PerceptionError(
            f"evaluation needs the module '{error.name}'; install octoview[train]"
        ) from error

    model = model or shipped_model()
    predict, spec = _load(model)
    with Ticker(f"evaluating {dataset.name}", len(dataset), "image") as ticker:
        scores = evaluate(predict, dataset, spec, ticker.advance_to)
    _print(scores, model)
    write_json(json_file, {"model": model.name, "preset": spec.preset, **scores.to_json()})


def _load(model: Path) -> tuple["Predict", ModelSpec]:
    """Weights run in torch, everything else in the engine that fits it."""
    if model.suffix != ".safetensors":
        engine = load_engine(model)
        return engine.infer, engine.spec
    try:
        import torch

        from perception.checkpoint import load_network
    except ImportError as error:
        raise PerceptionError(
            f"{model}: needs the module '{error.name}'; install octoview[train] or give an .onnx"
        ) from error

    network, spec = load_network(model)

    def predict(images):  # type: ignore[no-untyped-def]  # torch's types end here
        with torch.inference_mode():
            outputs = network(torch.from_numpy(images))
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    return predict, spec


def _print(scores: "Scores", model: Path) -> None:
    from perception.evaluate import TALL_PX

    table = Table(title=f"{model.name} on {scores.dataset}, {scores.images} images")
    table.add_column("measure")
    table.add_column("value", justify="right")
    rows = {
        "mean IoU": scores.mean_iou,
        "drivable IoU": scores.drivable_iou,
        f"mAP50 ({scores.boxes} boxes)": scores.map50,
        f"mAP50:95 ({scores.boxes} boxes)": scores.map50_95,
        **{f"mAP50 {name}": value for name, value in scores.map50_by_class.items()},
        **{
            f"mAP50 {name} over {TALL_PX:g} px": value
            for name, value in scores.map50_tall_by_class.items()
        },
        **{f"IoU {name}": value for name, value in scores.iou.items()},
    }
    if len(scores.drivable_iou_by_camera) > 1:
        for name, value in scores.drivable_iou_by_camera.items():
            rows[f"drivable IoU, {name}"] = value
    for name, value in rows.items():
        table.add_row(name, f"{value:.3f}" if value == value else "-")
    Console().print(table)
