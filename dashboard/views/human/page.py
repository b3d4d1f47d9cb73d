"""Human test: a blinded quiz over clean and perturbed images, and how people compare with the network (Sec. 5.3.4)."""

from __future__ import annotations

import secrets
from pathlib import Path

import streamlit as st

from dashboard import data
from dashboard.components.tiles import Tile, TileSet, tile_grid
from dashboard.shared import downloads
from dashboard.shared.tables import in_percent, plain_table
from dashboard.shared.theme import code_span, escape_markdown, plural
from dashboard.shell import url_state
from dashboard.shell.url_state import Selection
from store import StoreError
from store.queries.human_test import Question, people_and_network, question
from store.tools.human_answers import Answer, add_answer, answers_file, read_answers

_CANNOT_TELL = -1
_SHARES = {
    "people": "People",
    "people_low": "95 % from",
    "people_high": "to",
    "network": "Network",
    "network_low": "95 % from ",
    "network_high": "to ",
    "only_people": "People alone",
    "only_network": "Network alone",
}


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    sitting = _sitting(selection)
    try:
        path = answers_file(selection.run)
    except StoreError as error:
        st.info(escape_markdown(str(error)), icon=":material/cloud_off:")
        return
    asked = question(selection.run, seed=sitting["seed"], number=sitting["number"], epoch=selection.epoch)
    if asked is None:
        st.info("You have seen every image of this run.", icon=":material/check:")
    else:
        _ask(selection, asked, sitting, path)
    _results(selection, path)


def _sitting(selection: Selection) -> dict[str, int]:
    """This visitor's sitting with this run: a random seed, and how many questions were answered."""
    sittings = st.session_state.setdefault("human_test", {})
    return sittings.setdefault(selection.run.id, {"seed": secrets.randbits(32), "number": 0})


def _ask(selection: Selection, asked: Question, sitting: dict[str, int], path: Path) -> None:
    """The image without a word about it, and the classes to choose from."""
    left, right = st.columns([2, 3])
    with left:
        images = data.image_atlas(selection.run, (asked.image,), (asked.variant,), exact=True)
        tile = Tile(id="question", title=f"Image {sitting['number'] + 1}", images=(0,))
        tile_grid(TileSet(tiles=(tile,), images=images, size=264, fixed=True), key="question")
    with right:
        classes = data.class_names(selection.run)
        names = {choice: escape_markdown(classes[choice]) for choice in asked.choices}
        names[_CANNOT_TELL] = "I cannot tell"
        key = f"answer-{selection.run.id}-{sitting['number']}"
        chosen = st.radio("What does the image show?", list(names), format_func=names.__getitem__, index=None, key=key)

        def keep() -> None:
            answer = Answer(selection.run.id, f"{sitting['seed']:08x}", asked.image, asked.variant, int(chosen or 0))
            try:
                add_answer(path, answer)
            except StoreError as error:
                st.session_state["human_problem"] = str(error)
            sitting["number"] += 1

        st.button("Answer, and next image", disabled=chosen is None, on_click=keep, type="primary")
    problem = st.session_state.pop("human_problem", "")
    if problem:
        st.error(escape_markdown(problem), icon=":material/save:")
    st.caption(
        "Some images are perturbed, and some of the names are classes that the network finds probable. The "
        f"test does not say whether you were right. Answers are kept without your name in "
        f"{code_span(path.name)}, beside the run."
    )


def _results(selection: Selection, path: Path) -> None:
    """People beside the network, once the reader asks for it: seeing it could bias the next answers."""
    opened = st.expander("People and the network so far", key="human-results", on_change="rerun")
    if not opened.open:
        return
    with opened:
        try:
            answers = read_answers(path, selection.run)
        except StoreError as error:
            st.warning(escape_markdown(str(error)), icon=":material/broken_image:")
            return
        if not answers:
            st.info("Nobody has answered yet.", icon=":material/person_off:")
            return
        table = people_and_network(selection.run, answers, epoch=selection.epoch)
        shown = in_percent(table, _SHARES)
        shown["variant"] = [selection.run.variant(name).label for name in table["variant"]]
        columns = {name: st.column_config.NumberColumn(label, format="%.0f %%") for name, label in _SHARES.items()}
        columns |= {
            "variant": st.column_config.TextColumn("Variant"),
            "answers": st.column_config.NumberColumn("Answers"),
        }
        plain_table(
            shown,
            column_order=["variant", "answers", *_SHARES],
            column_config=columns,
            alt="share of images recognised by people and by the network under every variant",
        )
        sittings = len({answer.session for answer in answers})
        st.caption(
            f"{plural(len(answers), 'answer')} in {plural(sittings, 'sitting')}; the network of the chosen epoch on "
            "the same images. Its prediction was among the names, so both chose from the same list. “I cannot tell” "
            "counts as wrong. Wilson intervals; answers of one person are not independent, so they are too narrow "
            "where few people answered."
        )
        downloads.csv_button("CSV of the comparison", table, "human-test.csv")


main()
