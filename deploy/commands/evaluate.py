"""`octoview evaluate`: a model's scores on annotated images that it was not trained on."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.commands.engine_name import EngineName
from deploy.commands.evaluate_map import evaluate_map
from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.progress import Ticker
from deploy.commands.report_file import ReportFile
from deploy.loop.engine import load_engine, shipped_model
from deploy.loop.runtimes import REFERENCE
from export.tensorrt_file import SUFFIX
from perception.data.camvid import CamVid
from perception.data.dataset import Dataset, open_dataset
from perception.data.idd_lite import IddLite, Part
from perception.data.synthetic import Synthetic
from perception.errors import PerceptionError
from perception.spec import TRAINED_ON_KEY, ModelSpec

if TYPE_CHECKING:
    from perception.cost import Cost
    from perception.evaluate import Predict
    from perception.scores import Scores

app = typer.Typer(help="Score a model on annotated images.", no_args_is_help=True)
app.command("map")(evaluate_map)


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
    engine: EngineName = REFERENCE,
    json_file: JsonFile = None,
    report: ReportFile = None,
) -> None:
    """Score on a CamVid split; its boxes are derived from masks.

    Example: octoview evaluate camvid CamVid --split val --json scores.json
    """
    _score(CamVid(path / split), model, engine, json_file, report)


@app.command("idd-lite")
def idd_lite(
    path: Folder,
    split: Annotated[
        Part, typer.Option(help="val holds a tenth of the drives, train the others.")
    ] = "all",
    model: Model = None,
    engine: EngineName = REFERENCE,
    json_file: JsonFile = None,
    report: ReportFile = None,
) -> None:
    """Score on IDD-Lite, which has no boxes.

    Example: octoview evaluate idd-lite idd_lite --split val --report idd.html
    """
    _score(IddLite(path, split), model, engine, json_file, report)


@app.command()
def sim(
    path: Folder,
    model: Model = None,
    engine: EngineName = REFERENCE,
    json_file: JsonFile = None,
    report: ReportFile = None,
) -> None:
    """Score on a folder of rendered views.

    Example: octoview evaluate sim views/test --model runs/nano/weights.safetensors
    """
    _score(Synthetic(path), model, engine, json_file, report)


@app.command()
def data(
    dataset: Annotated[str, typer.Argument(help="NAME:PATH, as `octoview train --data` takes.")],
    model: Model = None,
    engine: EngineName = REFERENCE,
    json_file: JsonFile = None,
    report: ReportFile = None,
) -> None:
    """Score on any dataset that can be trained on.

    Example: octoview evaluate data sim:views/test --report sim.html
    """
    _score(open_dataset(dataset), model, engine, json_file, report)


@dataclass(frozen=True)
class _Loaded:
    """A model that is ready to be scored."""

    engine: str  # runtime, version and device
    predict: "Predict"
    spec: ModelSpec
    trained_on: str | None
    cost: "Cost"


def _score(
    dataset: Dataset,
    model: Path | None,
    engine: str,
    json_file: Path | None,
    report: Path | None,
) -> None:
    try:
        from perception.evaluate import evaluate, fingerprints_in
    except ImportError as error:
        raise PerceptionError(
            f"evaluation needs the module '{error.name}'; install octoview[train]"
        ) from error
    from perception.report import page
    from perception.report.evaluation import scores_sections
    from perception.report.gallery import Gallery

    model = model or shipped_model()
    loaded = _load(model, engine)
    gallery = Gallery(dataset, loaded.spec) if report else None
    with Ticker(f"evaluating {dataset.name}", len(dataset), "image") as ticker:
        scores = evaluate(
            loaded.predict,
            dataset,
            loaded.spec,
            ticker.advance_to,
            trained_on=fingerprints_in(loaded.trained_on),
            watch=gallery,
        )
    _print(scores, loaded, model)
    cost = loaded.cost.to_json(scores.images_by_bucket)
    write_json(
        json_file,
        {
            "model": model.name,
            "preset": loaded.spec.preset,
            "engine": loaded.engine,
            **cost,
            **scores.to_json(),
        },
    )
    if report:
        title = f"{model.name} on {scores.dataset}"
        page.write(report, title, scores_sections(scores, loaded.cost, loaded.spec, gallery))
        print(f"wrote {report}")


def _load(model: Path, engine: str) -> _Loaded:
    """Weights run in torch, ONNX files in the engine named."""
    if model.suffix == SUFFIX:
        raise PerceptionError(
            f"{model}: an engine file does not say what it costs; give the .onnx that it was built "
            "from, and --engine"
        )
    if model.suffix != ".safetensors":
        from perception.cost import cost_of_onnx

        loaded = load_engine(model, engine=engine)
        trained_on = loaded.metadata.get(TRAINED_ON_KEY)
        cost = cost_of_onnx(model, loaded.spec)
        return _Loaded(loaded.name, loaded.infer, loaded.spec, trained_on, cost)
    if engine != REFERENCE:
        raise PerceptionError(f"--engine {engine}: {model} runs in torch; export it to .onnx first")
    try:
        import torch

        from perception.checkpoint import load_network, load_tensors
        from perception.cost import cost_of_network
        from perception.predict import Predictor
    except ImportError as error:
        raise PerceptionError(
            f"{model}: needs the module '{error.name}'; install octoview[train] or give an .onnx"
        ) from error

    network, spec = load_network(model)
    _, header = load_tensors(model)
    trained_on = header.get(TRAINED_ON_KEY)
    name = f"torch {torch.__version__} CPU"
    return _Loaded(name, Predictor(network), spec, trained_on, cost_of_network(network))


def _print(scores: "Scores", loaded: _Loaded, model: Path) -> None:
    console = Console()
    console.print(_main_table(scores, loaded, model), _scene_slices(scores))
    if scores.boxes != "none":
        console.print(_object_slices(scores))
    if scores.trained_on_checked:
        console.print(f"none of the {scores.images} images was trained on", highlight=False)
    else:
        console.print(
            f"training images unknown: {model.name} does not list them, so these scores may "
            "count images that it was trained on",
            style="yellow",
            highlight=False,
        )


def _main_table(scores: "Scores", loaded: _Loaded, model: Path) -> Table:
    from perception.evaluate import TALL_PX

    table = Table(title=f"{model.name} on {scores.dataset}, {scores.images} images")
    table.add_column("measure")
    table.add_column("value", justify="right")
    gmac = loaded.cost.gmac_per_image(scores.images_by_bucket)
    table.add_row("engine", loaded.engine)
    table.add_row("parameters", f"{loaded.cost.parameters / 1e6:.2f} M")
    table.add_row("operations an image", f"{gmac:.2f} GMAC = {2 * gmac:.2f} GFLOP")
    table.add_section()
    boxes = f"({scores.boxes} boxes)"
    rows = {
        "mean IoU": scores.mean_iou,
        "drivable IoU": scores.drivable_iou,
        **{f"IoU {name}": value for name, value in scores.iou.items()},
        "calibration error, scene": scores.calibration.scene.ece,
    }
    if scores.boxes != "none":
        rows |= {
            f"mAP50 {boxes}": scores.map50,
            f"mAP50:95 {boxes}": scores.map50_95,
            **{f"mAP50 {name}": value for name, value in scores.map50_by_class.items()},
            **{
                f"mAP50 {name} over {TALL_PX:g} px": value
                for name, value in scores.map50_tall_by_class.items()
            },
            "calibration error, objects": scores.calibration.objects.ece,
        }
    for name, value in rows.items():
        table.add_row(name, _number(value))
    return table


def _scene_slices(scores: "Scores") -> Table:
    table = Table("part", title="By camera and by light", title_justify="left")
    for heading in ("images", "mean IoU", "drivable IoU"):
        table.add_column(heading, justify="right")
    for parts in (scores.slices.camera, scores.slices.light):
        for name, part in parts.items():
            numbers = (_number(part.mean_iou), _number(part.drivable_iou))
            table.add_row(name, str(part.images), *numbers)
        table.add_section()
    return table


def _object_slices(scores: "Scores") -> Table:
    slices = scores.slices
    title = "By height in the network's input, at an overlap of 0.5"
    table = Table("objects", title=title, title_justify="left")
    for heading in ("count", "AP50", f"found, score {slices.score_threshold:g} and up"):
        table.add_column(heading, justify="right")
    for size in slices.size:
        for name, score in size.by_class.items():
            if score.objects:
                numbers = (_number(score.ap50), _number(score.recall))
                table.add_row(f"{name}, {size.text}", str(score.objects), *numbers)
        table.add_section()
    return table


def _number(value: float) -> str:
    return f"{value:.3f}" if value == value else "-"
