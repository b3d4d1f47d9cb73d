"""About: where the numbers come from, the network with its shapes, the file format, the equations, how to cite."""

from __future__ import annotations

import base64
import json

import streamlit as st

from dashboard.shared import downloads
from dashboard.shared.theme import count, plain, plural, variant_name
from dashboard.shell import url_state
from dashboard.shell.url_state import Selection
from dashboard.views.about.charts import network_svg
from dashboard.views.about.parts import GLOSSARY

_PAPER = """@misc{zhang2019visualization,
  author = {X. Zhang},
  title  = {Visualization of encoder-decoder structure of Deep Convolutional Neural Network},
  note   = {University of California, Santa Cruz},
  year   = {2019},
}"""


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current()
    _network(selection)
    _origin(selection)
    _file_format(selection)
    _glossary()
    _cite(selection)


def _network(selection: Selection) -> None:
    run = selection.run
    st.subheader("The network, with the shapes of this run", anchor=False)
    colours = downloads.current_palette()
    drawing = base64.b64encode(network_svg(run, ink=colours.ink, accent=colours.true_class).encode()).decode()
    # On a phone it is scrolled sideways: made to fit, its words could not be read.
    st.html(
        '<div style="overflow-x: auto"><img alt="the network with its shapes" style="width: 100%; min-width: 800px" '
        f'src="data:image/svg+xml;base64,{drawing}"></div>'
    )
    rows, columns = run.map_shape
    st.caption(
        f"{plural(len(run.classes), 'class', 'classes')}, one {rows}×{columns} map each. Squares grow with the "
        "layers' maps; "
        "the filled ones are recorded and can be seen on an image's page."
    )


def _origin(selection: Selection) -> None:
    run = selection.run
    st.subheader("Where the numbers come from", anchor=False)
    st.markdown(
        f"Run **{plain(selection.name)}**, identity `{run.id}`: {plural(len(run.labels), 'validation image')}, "
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
            "`run.h5` images",
            f"{shape} × {run.image_shape[0]} × {run.image_shape[1]} × 3, uint8",
            "as the network saw them",
        ),
        ("`epochs/0001.h5` maps", f"{shape} × {classes} × {height} × {width}, uint8", "value = (code − zero) × step"),
        ("map_scale", f"{shape} × {classes}, float32", "the step of each map: off by at most half of it"),
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
        f"table = run.predictions({at})  # a row per image",
        language="python",
    )


def _glossary() -> None:
    st.subheader("Words and equations", anchor=False)
    for part, words in GLOSSARY.items():
        st.markdown(f"**{part}**")
        with st.grid(3, min_column_width=300):
            for word in words:
                with st.container(border=True, gap="xsmall", height="stretch"):
                    st.markdown(f"**{word.name}**")
                    st.latex(word.equation)
                    st.caption(word.meaning)
    st.caption(
        "Equation numbers are those of X. Zhang, Visualization of encoder-decoder structure of Deep Convolutional "
        "Neural Network, University of California, Santa Cruz, 2019."
    )


def _cite(selection: Selection) -> None:
    st.subheader("How to cite what you see", anchor=False)
    st.markdown(
        "The address of a page holds the whole view. To quote a figure, give the run's identity, its epoch and "
        "variant, and the address; the network and the questions are the paper's."
    )
    view = url_state.link("overview", {"run": selection.name, "epoch": selection.epoch, "variant": selection.variant})
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
