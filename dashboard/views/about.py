"""About: where the numbers come from, the network with its shapes, the file format, the equations, how to cite."""

from __future__ import annotations

import base64
import json

import streamlit as st

from dashboard import exports, state
from dashboard.network import network_svg
from dashboard.state import Selection
from dashboard.theme import count, plain, plural, variant_name

_GLOSSARY = (
    (
        "Class map f_k",
        r"f_k \in \mathbb{R}^{H \times W}",
        "The last layer's map of class k: one map per class, no mixing between them.",
    ),
    (
        "Score S_k (Eq. 8)",
        r"S_k = \frac{1}{HW} \sum_{y,x} f_k(y, x)",
        "Exactly the mean of the map: nothing else enters the answer.",
    ),
    (
        "Probability P_k (Eq. 4)",
        r"P_k = \frac{e^{S_k}}{\sum_j e^{S_j}}",
        "The softmax over all classes; the confidence is the largest of them.",
    ),
    ("Loss (Eq. 9)", r"L = -\sum_k T_k \log P_k", "Cross entropy with the truth T."),
    (
        "Display (Eq. 10)",
        r"f_k^{\mathrm{norm}} = f_k / \max f_k",
        "Each map by its own maximum: shows the pattern, hides its strength.",
    ),
    (
        "Salt and pepper (Eq. 12)",
        r"M = \mathrm{round}(\lambda H W C)",
        "Channel values set to 0 or 255, half each, drawn once per picture.",
    ),
    ("Class pattern, letter", r"\bar f_k = \mathrm{mean}_{x \in k} f_k(x)", "The mean own map of a class's pictures."),
    (
        "Likeness",
        r"\cos(a, b) = \frac{a \cdot b}{\lVert a \rVert \lVert b \rVert}",
        "Of two maps as vectors: 1 for the same pattern whatever its strength.",
    ),
    (
        "Cells to undo k*",
        r"\min \{ k : \textstyle\sum D - \sum_{\text{k largest}} D \le 0 \},\ D = f_{\hat y} - f_y",
        "Fewest cells whose removal from both maps undoes an error between the two classes.",
    ),
    (
        "Change of a score",
        r"\Delta S_k = \tfrac{1}{HW} \sum_{y,x} (f_k^{\,b} - f_k^{\,a})",
        "Between two epochs, variants or runs a and b: exact, cell by cell; warm cells gained, cold ones lost.",
    ),
    (
        "Formation",
        r"\min \{ e : \cos(f_k^{\,e'}, f_k^{\,\mathrm{last}}) \ge 0.9 \ \ \forall e' \ge e \}",
        "The first epoch from which a map, or a class's pattern, keeps the form that it ends with.",
    ),
    (
        "ECE",
        r"\sum_b \frac{n_b}{N} \lvert \mathrm{acc}_b - \mathrm{conf}_b \rvert",
        "Expected calibration error over confidence bins.",
    ),
    (
        "AUROC",
        r"P(s_{\text{right}} > s_{\text{wrong}})",
        "How well a score tells right from wrong answers: 0.5 is chance.",
    ),
    (
        "Risk and coverage",
        r"\mathrm{risk}(c)",
        "The share of wrong answers among the share c of answers with the highest score; AURC is the area.",
    ),
)

_PAPER = """@misc{zhang2019visualization,
  author = {X. Zhang},
  title  = {Visualization of encoder-decoder structure of Deep Convolutional Neural Network},
  note   = {University of California, Santa Cruz},
  year   = {2019},
}"""


def main() -> None:
    """Draw the page from top to bottom."""
    selection = state.current()
    _network(selection)
    _origin(selection)
    _file_format(selection)
    _glossary()
    _cite(selection)


def _network(selection: Selection) -> None:
    run = selection.run
    st.subheader("The network, with the shapes of this run", anchor=False)
    colours = exports.current_palette()
    drawing = base64.b64encode(network_svg(run, ink=colours.ink, accent=colours.truth).encode()).decode()
    # On a phone it is scrolled sideways: made to fit, its words could not be read.
    st.html(
        '<div style="overflow-x: auto"><img alt="the network with its shapes" style="width: 100%; min-width: 800px" '
        f'src="data:image/svg+xml;base64,{drawing}"></div>'
    )
    rows, columns = run.map_shape
    st.caption(
        f"{plural(len(run.classes), 'class', 'classes')}, one {rows}×{columns} map each. Squares grow with the "
        "layers' maps; "
        "the filled ones are recorded and can be seen on a picture's page."
    )


def _origin(selection: Selection) -> None:
    run = selection.run
    st.subheader("Where the numbers come from", anchor=False)
    st.markdown(
        f"Run **{plain(selection.name)}**, identity `{run.id}`: {plural(len(run.labels), 'validation picture')}, "
        f"every one of them passed through the network at {plural(len(run.epochs), 'epoch')} under "
        f"{plural(len(run.variants), 'variant')}: "
        f"{count(len(run.labels) * len(run.epochs) * len(run.variants))} passes, all maps and probabilities kept. "
        "Nothing "
        "on these pages is computed by the network while you look; the Live page says where it is."
    )
    left, right = st.columns(2)
    with left:
        st.markdown("**Configuration**")
        st.json(json.dumps(dict(run.configuration), default=str), expanded=1)
    with right:
        st.markdown("**Provenance**")
        st.json(json.dumps(dict(run.provenance), default=str), expanded=1)


def _file_format(selection: Selection) -> None:
    run = selection.run
    images, classes = len(run.labels), len(run.classes)
    height, width = run.map_shape
    shape = f"{len(run.variants)} × {images}"
    rows = (
        (
            "`run.h5` pictures",
            f"{shape} × {run.picture_shape[0]} × {run.picture_shape[1]} × 3, uint8",
            "as the network saw them",
        ),
        ("`epochs/0001.h5` maps", f"{shape} × {classes} × {height} × {width}, uint8", "value = (code − zero) × step"),
        ("map_step", f"{shape} × {classes}, float32", "the step of each map: off by at most half of it"),
        ("probabilities", f"{shape} × {classes}, float32", "softmax of the maps' means, before quantisation"),
        ("`images/*`, `classes/*`, `confusion`", "", "the summary columns that these pages read"),
        ("`analysis.h5`", "", "what spans the epochs; derived, may be deleted"),
    )
    st.subheader("The files", anchor=False)
    st.markdown(
        "A run is a folder of write-once HDF5 files, readable by any HDF5 tool:\n\n"
        "| file, dataset | shape here | meaning |\n|---|---|---|\n"
        + "\n".join("| " + " | ".join(row) + " |" for row in rows)
        + f"\n\n`python -m store info {run.path}` lists the files, `python -m store verify {run.path}` reads and "
        "checks every byte. In a notebook:"
    )
    at = f'epoch={selection.epoch}, variant="{selection.variant}"'
    st.code(
        "from store import open_run\n\n"
        f'run = open_run("{run.path}")\n'
        f"maps = run.maps({at}, images=[0, 1])  # (2, {classes}, {height}, {width}) float32\n"
        f"table = run.predictions({at})  # a row per picture",
        language="python",
    )


def _glossary() -> None:
    st.subheader("Words and equations", anchor=False)
    with st.grid(2, min_column_width=380):
        for name, equation, meaning in _GLOSSARY:
            with st.container(border=True, gap="xsmall", height="stretch"):
                st.markdown(f"**{name}**")
                st.latex(equation)
                st.caption(meaning)
    st.caption(
        "Equation numbers are those of X. Zhang, Visualization of encoder-decoder structure of Deep Convolutional "
        "Neural "
        "Network, University of California, Santa Cruz, 2019."
    )


def _cite(selection: Selection) -> None:
    st.subheader("How to cite what you see", anchor=False)
    st.markdown(
        "The address of a page holds the whole view. To quote a figure, give the run's identity, its epoch and "
        "variant, and the address; the network and the questions are the paper's."
    )
    view = state.link("overview", {"run": selection.name, "epoch": selection.epoch, "variant": selection.variant})
    root = (st.context.url or "").rpartition("/")[0]
    where = f"{root}/{view.removeprefix('./')}"
    st.code(
        f"Classprint, run {selection.name} ({selection.run.id}), epoch {selection.epoch}, "
        f"{variant_name(selection.variant)}; {where}",
        language=None,
        wrap_lines=True,
    )
    st.code(_PAPER, language="bibtex")


main()
