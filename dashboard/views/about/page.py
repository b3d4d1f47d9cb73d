"""About: the network, where the numbers come from, the files, the glossary, how to cite."""

from __future__ import annotations

import base64
import json

import streamlit as st

from dashboard import data
from dashboard.shared import downloads, run_facts
from dashboard.shared.theme import code_span, count, escape_markdown, plural
from dashboard.shell import url_state
from dashboard.shell.url_state import Selection
from dashboard.views.about.charts import PITCH, layers, network_svg
from dashboard.views.about.parts import GLOSSARY
from store import Run

_PAPER = """@misc{zhang2019visualization,
  author = {X. Zhang},
  title  = {Visualization of encoder-decoder structure of Deep Convolutional Neural Network},
  note   = {University of California, Santa Cruz},
  year   = {2019},
}"""


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    _network(selection)
    _provenance(selection)
    _file_format(selection)
    _glossary()
    _cite(selection)


def _network(selection: Selection) -> None:
    run = selection.run
    st.subheader("The network and its layer shapes", anchor=False)
    colours = downloads.current_palette()
    drawing = base64.b64encode(network_svg(run, ink=colours.ink, accent=colours.true_class).encode()).decode()
    natural = PITCH * len(layers(run))
    # On a phone the drawing scrolls sideways: scaled to fit, its labels would be too small to read. That of a network
    # of few layers is not enlarged to the whole page.
    st.html(
        '<div style="overflow-x: auto"><img alt="the network and its layer shapes" style="width: 100%; min-width: '
        f'{min(800, natural)}px; max-width: {natural * 5 // 4}px" src="data:image/svg+xml;base64,{drawing}"></div>'
    )
    rows, columns = run.map_shape
    maps = f", one {rows}×{columns} map each" if run.has_maps else ""
    st.caption(
        f"{plural(len(run.classes), 'class', 'classes')}{maps}. The squares grow "
        "with the size of the layer's maps. Filled layers are recorded; the Image page shows them."
    )
    st.markdown(f"**What the maps are.** {run_facts.evidence_text(run)}")


def _provenance(selection: Selection) -> None:
    run = selection.run
    st.subheader("Where the numbers come from", anchor=False)
    st.markdown(
        f"Run **{escape_markdown(selection.name)}**, identity `{run.id}`: "
        f"{plural(len(run.labels), 'validation image')}, each passed through the network at "
        f"{plural(len(run.epochs), 'epoch')} under {plural(len(run.variants), 'variant')}. {_recorded(run)} "
        f"of these {count(len(run.labels) * len(run.epochs) * len(run.variants))} passes are recorded, and the pages "
        "show only what is recorded. Only the Live page runs the network."
    )
    left, right = st.columns(2)
    with left:
        st.markdown("**Configuration**")
        st.json(json.dumps(dict(run.configuration), default=str), expanded=1)
    with right:
        st.markdown("**Provenance**")
        st.json(json.dumps(dict(run.provenance), default=str), expanded=1)


def _recorded(run: Run) -> str:
    """What is kept of each pass."""
    if not run.has_maps:
        return "All probabilities"
    if run.kept_maps:
        return f"All probabilities, and the maps of the {run.kept_maps} strongest classes and of the true class,"
    return "All maps and probabilities"


def _file_format(selection: Selection) -> None:
    run = selection.run
    images, classes, kept = len(run.labels), len(run.classes), run.description.sizes["K"]
    height, width = run.map_shape
    shape = f"{len(run.variants)} × {images}"
    rows = (
        (
            "`run.h5` images",
            f"{shape} × {run.image_shape[0]} × {run.image_shape[1]} × 3, uint8",
            "as the network saw them",
        ),
        (
            f"`epochs/{selection.epoch:04d}.h5` maps",
            f"{shape} × {kept} × {height} × {width}, uint8",
            "logit = (quantised value − zero point) × scale",
        ),
        ("`map_scale`", f"{shape} × {kept}, float32", "the scale of each map; values are off by half of it at most"),
        (
            "`probabilities`",
            f"{shape} × {classes}, float32",
            "softmax of the mean of each map, computed before quantisation",
        ),
        ("`images/*`, `classes/*`, `confusion`", "", "summary columns that these pages read"),
        ("`analysis.h5`", "", "results across epochs; derived, may be deleted"),
    )
    st.subheader("The files", anchor=False)
    st.markdown(
        "A run is a folder of HDF5 files that are written once; any HDF5 tool reads them:\n\n"
        "| File, dataset | Shape in this run | Meaning |\n|---|---|---|\n"
        + "\n".join("| " + " | ".join(row) + " |" for row in rows)
        + f"\n\n{code_span(f'python -m store info {run.source.location}')} lists the files, "
        f"{code_span(f'python -m store verify {run.source.location}')} "
        "checks every byte. In a notebook:"
    )
    at = f"epoch={selection.epoch}, variant={json.dumps(selection.variant)}"
    st.code(
        "from store import open_run\n\n"
        f"run = open_run({json.dumps(run.source.location)})\n"
        f"maps = run.maps({at}, images=[0, 1])  # (2, {classes}, {height}, {width}) float32\n"
        f"table = run.predictions({at})  # a row per image",
        language="python",
    )


def _glossary() -> None:
    st.subheader("Glossary", anchor=False)
    for tab, terms in zip(st.tabs(list(GLOSSARY)), GLOSSARY.values(), strict=True):
        with tab, st.grid(3, min_column_width=300):
            for term in terms:
                with st.container(border=True, gap="xsmall", height="stretch"):
                    st.markdown(f"**{term.name}**")
                    st.latex(term.equation)
                    st.caption(term.meaning)
    st.caption(
        "Equation numbers are those of X. Zhang, Visualization of encoder-decoder structure of Deep Convolutional "
        "Neural Network, University of California, Santa Cruz, 2019."
    )


def _cite(selection: Selection) -> None:
    st.subheader("How to cite", anchor=False)
    st.markdown(
        "The address of a page reproduces the whole view. To cite a figure, give the run's identity, the epoch, the "
        "variant and the address. The network and the questions come from the paper:"
    )
    view = url_state.link("overview", {"run": selection.name, "epoch": selection.epoch, "variant": selection.variant})
    root = (st.context.url or "").rpartition("/")[0]
    where = f"{root}/{view.removeprefix('./')}"
    st.code(
        f"Classprint, run {selection.name} ({selection.run.id}), epoch "
        f"{data.epoch_name(selection.run, selection.epoch)}, "
        f"{selection.variant_label}; {where}",
        language=None,
        wrap_lines=True,
    )
    st.code(_PAPER, language="bibtex")


main()
