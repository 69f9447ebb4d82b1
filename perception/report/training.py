"""The final report of a training run: recipe, curves, and scores on unseen images."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from perception.checkpoint import load_network, load_tensors
from perception.cost import cost_of_network
from perception.data.dataset import Dataset
from perception.evaluate import evaluate, fingerprints_in
from perception.predict import Predictor
from perception.recipe import Recipe
from perception.report import page
from perception.report.curves import curves_section
from perception.report.evaluation import scores_sections
from perception.report.gallery import Gallery
from perception.scores import Scores
from perception.spec import TRAINED_ON_KEY


def write_training_report(
    folder: Path,
    recipe: Recipe,
    unseen: Sequence[Dataset],
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> list[Scores]:
    """Score the finished run in `folder` on datasets and write its report.html.

    `progress` hears the dataset, and how many of its samples are scored. Raises DatasetError for
    damaged samples and for images that were trained on, PerceptionError for a file that can't
    be written.
    """
    weights = folder / "weights.safetensors"
    network, spec = load_network(weights)
    trained_on = fingerprints_in(load_tensors(weights)[1].get(TRAINED_ON_KEY))
    cost = cost_of_network(network)
    predict = Predictor(network.to("cuda" if torch.cuda.is_available() else "cpu"))
    all_scores, sections = [], []
    for dataset in unseen:
        gallery = Gallery(dataset, spec)

        def advance(done: int, dataset: Dataset = dataset) -> None:
            progress(dataset.name, done, len(dataset))

        scores = evaluate(predict, dataset, spec, advance, trained_on=trained_on, watch=gallery)
        all_scores.append(scores)
        for section in scores_sections(scores, cost, spec, gallery):
            sections.append(replace(section, title=f"{scores.dataset}: {section.title}"))
    sections += [curves_section(folder / "curve.csv"), _recipe(recipe)]
    page.write(folder / "report.html", f"Training of {folder.name}", sections)
    return all_scores


def _recipe(recipe: Recipe) -> page.Section:
    plain = recipe.model_dump(mode="json", exclude={"sources"})
    rows = [(name, str(value)) for name, value in plain.items()]
    rows += [("data", f"{source.dataset}, weight {source.weight:g}") for source in recipe.sources]
    return page.Section("Recipe", page.table(("setting", "value"), rows))
