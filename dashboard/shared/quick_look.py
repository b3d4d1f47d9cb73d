"""The quick look: an image in a panel over any page, with its strongest maps, its epochs and its variants.

A click on a tile opens it, arrow keys step to the neighbours of that tile, and one more
click opens the whole Image page. It is part of the address, so Back closes it and a copied link opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.components.tiles import TileSet, tile_grid
from dashboard.marks.marked_images import MarkedImages
from dashboard.shared import marking, one_image
from dashboard.shared.theme import code_span, escape_markdown, probability, tick_or_cross
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection, look_text

_CLASSES, _EPOCHS = 5, 8
_WIDTH = 760  # pixels
_ORDER, _CLICKED, _MARKED = "classprint.look.order", "classprint.look.clicked", "classprint.look.marked"


def open_on_click(images: Iterable[str | int], state: tuple[int, str] | None = None) -> Callable[[str], None]:
    """What a click on one of some images does: it opens the quick look, in which one can step through them.

    Args:
        images: their numbers, in the order in which they are shown.
        state: the epoch and variant that is shown; without one, those of the selection.
    """
    order = [int(image) for image in images]

    def look(image: str | int) -> None:
        st.session_state[_ORDER] = order
        st.session_state[_CLICKED] = True
        url_state.write({"look": look_text(int(image), state)})

    return look


@st.fragment
def image_set(content: TileSet, *, key: str, state: tuple[int, str] | None = None) -> None:
    """Draw tiles whose ids are images, which open the quick look and can be marked; `state` as of `open_on_click`."""
    source = MarkedImages(url_state.current_selection().run)
    if st.session_state.pop(_MARKED, False):
        st.rerun()  # the counts beside the filters have changed, and what the filters leave
    # A fragment: a click reruns the tiles and the panel alone, in half the time that the page around them takes.
    draw_if_clicked()
    mark = marking.on_mark(source, content)

    def mark_and_count(request: dict[str, Any]) -> None:
        mark(request)
        st.session_state[_MARKED] = True

    tile_grid(
        marking.with_marks(source, content),
        key=key,
        on_open=open_on_click((tile.id for tile in content.tiles), state),
        on_mark=mark_and_count,
    )


def draw_if_clicked() -> None:
    """Draw the quick look in a fragment in which an image has just been clicked."""
    if st.session_state.pop(_CLICKED, False):
        draw()


def draw() -> None:
    """Draw the quick look of the image that the address names, if it names one."""
    st.session_state.pop(_CLICKED, None)
    if url_state.read_look(url_state.current_selection()) is not None:
        _panel()


@st.dialog("Quick look", position="right", width=_WIDTH, on_dismiss=lambda: url_state.write({"look": None}))
def _panel() -> None:
    # Read again: a click inside reruns only this function, with another image or state in the address.
    look = url_state.read_look(url_state.current_selection())
    if look is None or look.image is None:
        return
    row = data.predictions(look.run, look.epoch, look.variant).iloc[look.image]
    _steps(look, look.image)
    st.markdown(_headline(look, row))
    marking.of_image(MarkedImages(look.run), look.image, key="look", keys=True)
    left, right = st.columns([1, 3])
    with left:
        tile_grid(one_image.input_tile(look, look.image, size=160), key="look-image")
    with right:
        order = one_image.ranked_classes(look, look.image)[:_CLASSES]
        classes = one_image.class_tiles(look, look.image, order, size=84)
        tile_grid(classes, key="look-classes", on_open=url_state.open_class)
    if len(look.run.epochs) > 1:
        st.markdown("**Over the epochs:** map and probability of the true class")
        epochs = one_image.film_epochs(look.run.epochs, look.epoch, most=_EPOCHS)
        film = one_image.film_tiles(look, look.image, int(row.label), epochs, size=60)
        tile_grid(film, key="look-epochs", on_open=lambda epoch: _show(look, epoch=int(epoch)))
    if len(look.run.variants) > 1:
        st.markdown("**Under the perturbations:** image, map of the prediction, map of the true class")
        variants = one_image.variant_tiles(look, look.image, size=48)
        tile_grid(variants, key="look-variants", on_open=lambda variant: _show(look, variant=variant))


def _show(look: Selection, *, epoch: int | None = None, variant: str = "") -> None:
    """Show the same image at another epoch or under another variant."""
    state = (look.epoch if epoch is None else epoch, variant or look.variant)
    url_state.write({"look": look_text(look.image or 0, state)})


def _steps(look: Selection, image: int) -> None:
    """Previous and next image, the place among them, and the way to the whole page."""
    clicked: list[int] = st.session_state.get(_ORDER, [])
    # A link opens the quick look without a grid to step through: then through all images.
    images: Sequence[int] = clicked if image in clicked else range(len(look.run.labels))
    here, selection = images.index(image), url_state.current_selection()
    state = None if (look.epoch, look.variant) == (selection.epoch, selection.variant) else (look.epoch, look.variant)
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, place, key in (("Previous", here - 1, "left"), ("Next", here + 1, "right")):
            changes = {"look": look_text(images[place], state)} if 0 <= place < len(images) else None
            controls.write_button(label, changes, shortcut=key, key=f"look-{key}")
        st.caption(f"{here + 1} of {len(images)}", width="content")
        of_state = {"epoch": look.epoch, "variant": look.variant} if state else {}
        controls.page_link("image", "Everything about this image", {"image": image, **of_state})


def _headline(look: Selection, row: pd.Series) -> str:
    predicted, true_class = escape_markdown(row.predicted_class), escape_markdown(row.true_class)
    wrong = "" if row.correct else f" · true class **{true_class}**, P {probability(row.label_probability)}"
    epoch = escape_markdown(data.epoch_name(look.run, look.epoch))
    return (
        f"{tick_or_cross(row.correct)} predicted as **{predicted}**, P {probability(row.confidence)}{wrong}  \n"
        f"{code_span(row['name'])} · image {look.image} · epoch {epoch}, {escape_markdown(look.variant_label)}"
    )
