"""Five charts of the dashboard for notebooks: a run in, an Altair chart out. They need no Streamlit.

>>> from classprint import open_run, plots
>>> plots.training(run)                                                                         # doctest: +SKIP
"""

from __future__ import annotations

import altair as alt

from dashboard.charts.figure import Figure
from dashboard.shared.run_facts import has_top5
from dashboard.shared.theme import one_line
from dashboard.views.learning.charts import accuracy_curves
from dashboard.views.overview.charts import accuracy_by_variant, training_curve, training_series
from dashboard.views.trust.charts import acceptance_chart, reliability_diagram, with_percent_marks
from store import Run, queries
from store.analysis.confidence_scores import LABELS, REFERENCE

__all__ = ["acceptance", "class_accuracy", "reliability", "training", "variants"]


def training(run: Run, *, quantity: str = "accuracy") -> alt.LayerChart:
    """Loss or accuracy over the epochs, training against validation (the paper's Fig. 2).

    Args:
        quantity: "accuracy" or "loss".

    Raises:
        ValueError: it is neither.

    >>> plots.training(run, quantity="loss").to_dict()["title"]
    'Loss'
    """
    if quantity not in ("accuracy", "loss"):
        raise ValueError(f"Quantity {quantity!r} is unknown: choose 'accuracy' or 'loss'.")
    series = training_series(queries.epoch_metrics(run))
    if not has_top5(run):
        series = series[series["part"] != "validation top-5"]
    return _chart(training_curve(series, quantity=quantity, epoch=None))


def variants(run: Run, *, epoch: int = -1) -> alt.LayerChart:
    """Accuracy under every variant at an epoch.

    >>> len(plots.variants(run).to_dict()["datasets"]["variants"]) == len(run.variants)
    True
    """
    table = run.variant_metrics(epoch=epoch)
    table["variant_label"] = [one_line(run.variant(name).label) for name in table["variant"]]
    columns = ["variant_label", "top1", "top5", "mean_confidence"]
    return _chart(accuracy_by_variant(table[columns], top5=has_top5(run)))


def class_accuracy(run: Run, name: int | str, *, variant: str = "clean") -> alt.LayerChart:
    """Accuracy of one class over the epochs, in front of all others.

    Args:
        name: a class by its number, name or id.

    >>> rows = plots.class_accuracy(run, "school bus").to_dict()["datasets"]["accuracy"]
    >>> {row["name"] for row in rows if row["highlighted"]}
    {'school bus'}
    """
    number = run.class_number(name)
    table, last = queries.class_accuracy(run, variant=variant), run.epoch_number(-1)
    return _chart(accuracy_curves(table, highlight=run.classes["name"][number], by="name", epoch=last))


def reliability(run: Run, *, epoch: int = -1, variant: str = "clean", bins: int = 15) -> alt.LayerChart:
    """Accuracy against confidence in bins of equal width, with 95 % Wilson intervals: is the confidence calibrated?

    >>> sum(row["count"] for row in plots.reliability(run).to_dict()["datasets"]["bins"])
    20
    """
    return _chart(reliability_diagram(queries.calibration_table(run, epoch=epoch, variant=variant, bins=bins)))


def acceptance(run: Run, *, epoch: int = -1, variant: str = "clean", score: str = REFERENCE) -> alt.LayerChart:
    """Risk (share of wrong predictions among those accepted) against coverage, for a confidence score.

    Args:
        score: a name in `store.analysis.confidence_scores.COLUMN_SCORES`, such as "margin".

    >>> plots.acceptance(run).to_dict()["datasets"]["curves"][-1]["coverage"]
    1.0
    """
    curve = queries.risk_coverage(run, epoch=epoch, variant=variant, score=score)
    named = curve.assign(score=LABELS[score], key=score)
    return _chart(acceptance_chart(with_percent_marks(named)))


def _chart(figure: Figure) -> alt.LayerChart:
    return alt.LayerChart.from_dict(figure.to_dict())
