"""What surrounds every page: the sidebar with its links and the selection, messages, and what replaces a page."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import streamlit as st

from dashboard import data
from dashboard.images.maps import COLOUR_MAPS, SCALES
from dashboard.shared import notices
from dashboard.shared.run_facts import epochs_recorded, trained_epochs
from dashboard.shared.theme import code_span, escape_markdown
from dashboard.shell import controls, navigation, url_state
from dashboard.shell.reading import HOW_TO_READ, TOUR, TOUR_RUN
from store import Run, StoreError
from store.read.run_folders import is_folder
from store.remote.place import is_remote

LOGO = Path(__file__).with_name("logo.svg")
STYLE = Path(__file__).with_name("shell.css")
_SHOWN_EPOCHS = "classprint.epochs"


def draw(page: st.Page, registered: dict[str, st.Page]) -> bool:
    """Draw the sidebar and the page's title.

    Returns:
        Whether there is an epoch to show; if not, an explanation has taken the page's place.

    Raises:
        StoreError: the run cannot be read.
    """
    names = data.run_names()
    with st.sidebar:
        st.logo(str(LOGO), size="large")
        links, selectors = st.container(gap="xxsmall"), st.container()
    name = page.url_path or url_state.HOME
    if not navigation.is_page(name):
        _links(links, registered)
        _no_such_page(name, registered)
        return False
    if not names:
        _links(links, registered)
        _no_runs()
        return False
    with st.spinner("Fetching the run …", show_time=True):  # shown only where that takes longer than a moment
        selection = url_state.read_selection(names, names[0])
    _links(links, registered)
    with selectors:
        controls.select("Run", "run", names, default=names[0], resets=("epoch", "class", "image", "pin"))
    if isinstance(selection, str):
        _no_epochs(selection)
        return False
    run = selection.run
    if not run.source.is_local:
        with st.spinner(
            f"Fetching epoch {selection.epoch} from {escape_markdown(run.source.location)} …", show_time=True
        ):
            run.source.fetch_epoch(selection.epoch)
    with selectors:
        _unreachable()
        _selectors(selection)
        _progress(selection.name, run)
    _head(page, selection)
    if navigation.page_info(name).needs_maps and not run.has_maps:
        url_state.accept_unread(url_state.SHARED)
        notices.no_maps(selection)
        return False
    return True


def _links(place: st.delta_generator.DeltaGenerator, registered: dict[str, st.Page]) -> None:
    parameters = url_state.shared_parameters()
    with place:
        for page in navigation.PAGES:
            st.page_link(registered[page.name], query_params=parameters, width="stretch")
            if page.name == "failures":
                _confident_mistakes(registered[page.name], parameters | {"confidence": "0.8-1"})


def _confident_mistakes(failures: st.Page, parameters: dict[str, str]) -> None:
    """A link to a view of Failures; Streamlit would highlight it whatever that page shows."""
    shown = st.query_params.get("confidence") == parameters["confidence"]
    with st.container(key="shortcut-shown" if shown else "shortcut"):
        st.page_link(
            failures,
            label="Confident mistakes",
            icon=":material/subdirectory_arrow_right:",
            help="Wrong predictions with a confidence of 0.8 and more",
            query_params=parameters,
            width="stretch",
        )


def _selectors(selection: url_state.Selection) -> None:
    run, epochs = selection.run, selection.run.epochs
    # The label of an epoch is in its file, which is fetched only when it is shown where a run lies at a URL.
    names = run.source.is_local and {epoch: data.epoch_name(run, epoch) for epoch in epochs}
    controls.step_slider("Epoch", "epoch", epochs, selection.epoch, default=-1, names=names or {})
    if len(epochs) > 1:
        here = epochs.index(selection.epoch)
        # Buttons beside the slider: arrow keys with Shift step through the epochs from anywhere on a page.
        with st.container(horizontal=True, gap="xsmall"):
            for label, tip, place in (("←", "previous epoch", here - 1), ("→", "next epoch", here + 1)):
                changes = {"epoch": epochs[place]} if 0 <= place < len(epochs) else None
                shortcut = "shift+left" if place < here else "shift+right"
                controls.write_button(label, changes, help=tip, shortcut=shortcut, key=f"step-{tip}")
            if selection.epoch != epochs[-1]:
                controls.write_button("latest", {"epoch": None}, type="tertiary")
    controls.select("Variant", "variant", data.variant_labels(run), default=run.variants[0])
    _classes(run)
    with st.popover("Display", icon=":material/palette:", width="stretch"):
        controls.segmented("Scale of the maps", "scale", SCALES)
        controls.segmented("Colour map", "colours", COLOUR_MAPS)
        st.caption(
            "Signed maps use a diverging colour map, dark at the mean of all classes, unless each map is scaled from "
            "its lowest to its highest cell."
        )
    _pin(selection)


def _classes(run: Run) -> None:
    """The class that the pages show; another one resets what was chosen within the old one."""
    labels = {"": "every class"} | data.class_labels(run)
    controls.select("Class", "class", labels, resets=("image", "cluster", "page"), place="sidebar")


def _pin(selection: url_state.Selection) -> None:
    """The pinned states, each with a button to unpin it, and a button to pin the state that is shown."""
    pinned = [state for state in (selection.pinned, selection.third) if state is not None]
    for epoch, variant in pinned:
        name = data.epoch_name(selection.run, epoch)
        others = [state for state in pinned if state != (epoch, variant)]
        controls.write_button(
            f"Pinned: epoch {escape_markdown(name)}, {escape_markdown(selection.run.variant(variant).label)}",
            {"pin": url_state.pinned_text(others) or None},
            icon=":material/keep_off:",
            help="Unpin this state.",
            width="stretch",
            key=f"pinned-{epoch}-{variant}",
        )
    here = (selection.epoch, selection.variant)
    if len(pinned) < url_state.MOST_PINNED and here not in pinned:
        controls.write_button(
            "Pin as a third state" if pinned else "Pin this state",
            {"pin": url_state.pinned_text([*pinned, here])},
            icon=":material/keep:",
            help="Keep this epoch and variant to compare with: Compare and Confusion show the differences from it.",
            width="stretch",
        )


def _unreachable() -> None:
    """The folders at URLs whose runs may be missing from the list."""
    for place, problem in data.found_runs().problems.items():
        if is_remote(place):
            st.warning(
                f"Runs of {escape_markdown(place)} may be missing: {escape_markdown(problem)}",
                icon=":material/cloud_off:",
            )


def _progress(name: str, run: Run) -> None:
    problem = data.storage_problem(name)
    if problem:
        text = f"New epochs of {run.source.location} may be missing: {problem}"
        st.warning(escape_markdown(text), icon=":material/cloud_off:")
    st.session_state[_SHOWN_EPOCHS] = run.epochs
    for epoch, reason in run.damaged.items():
        st.warning(
            f"Epoch {epoch} is missing from all pages: {escape_markdown(reason)}", icon=":material/broken_image:"
        )
    damage = data.analysis_damage(run)
    if damage:
        st.warning(f"The pages go on without the analysis: {escape_markdown(damage)}", icon=":material/broken_image:")
    if not run.complete:
        _watch(name)


@st.fragment(run_every="4s")
def _watch(name: str) -> None:
    """Look for a new epoch of a run that is being recorded, and draw the page again when there is one."""
    try:
        run = data.open_named_run(name)
    except StoreError as error:  # the fragment runs outside the page's own try
        explain(error)
        return
    if run.planned_epochs:  # of a network that was trained elsewhere they are not known
        st.progress(min(1.0, trained_epochs(run) / run.planned_epochs), epochs_recorded(run))
    if run.epochs != st.session_state.get(_SHOWN_EPOCHS, run.epochs):
        st.rerun()


def _head(page: st.Page, selection: url_state.Selection) -> None:
    name = page.url_path or url_state.HOME
    line = st.container(horizontal=True, vertical_alignment="bottom")
    line.title(page.title, anchor=False, width="content")
    epoch = escape_markdown(data.epoch_name(selection.run, selection.epoch))
    caption = (
        f"{navigation.page_info(name).question} — run **{escape_markdown(selection.name)}**, "
        f"epoch **{epoch}**, variant **{escape_markdown(selection.variant_label)}**"
    )
    if selection.class_index is not None:
        caption += f", class **{escape_markdown(data.class_names(selection.run)[selection.class_index])}**"
    line.caption(caption, width="content")
    with line:
        _help(name, selection)
    notices.warn_degenerate(selection)


def _help(name: str, selection: url_state.Selection) -> None:
    """How to read the page, closed until it is asked for; on the demo run also a tour."""
    with st.popover("How to read this page", icon=":material/help:", type="tertiary"):
        st.markdown(HOW_TO_READ[name])
        controls.page_link("about", "Glossary: every measure with its equation", icon="menu_book")
    if selection.name == TOUR_RUN:
        with st.popover("Tour in five steps", icon=":material/tour:", type="tertiary"):
            for number, (page, text) in enumerate(TOUR, start=1):
                controls.page_link(page, f"{number}. {navigation.page_info(page).title}: {text}")


def report_problems() -> None:
    """Show what is wrong with the link."""
    problems = url_state.problems()
    if problems:
        st.warning("\n\n".join(escape_markdown(text) for text in problems), icon=":material/link_off:")
        st.button("Remove invalid parameters", on_click=url_state.remove_invalid, type="tertiary")


def explain(error: StoreError) -> None:
    """Show an error of the store in its own words."""
    st.error(escape_markdown(str(error)), icon=":material/error:")
    st.caption("Choose another run, epoch or variant in the sidebar.")


def _no_such_page(name: str, registered: dict[str, st.Page]) -> None:
    url_state.accept_unread(url_state.SHARED)
    st.title("Page not found", anchor=False)
    names = [page.name for page in navigation.PAGES]
    st.info(
        f"There is no page “{escape_markdown(name[: url_state.LONGEST_QUOTE])}”. The sidebar lists all pages.",
        icon=":material/search_off:",
    )
    for near in get_close_matches(name.lower(), names, n=3, cutoff=0.5) or [url_state.HOME]:
        st.page_link(
            registered[near],
            label=f"Open {navigation.page_info(near).title}",
            query_params=url_state.shared_parameters(),
        )


def _no_runs() -> None:
    setting, problems = data.runs_setting(), data.found_runs().problems
    if is_folder(setting) and Path(setting, "run.h5").exists():
        st.title("This folder is a run", anchor=False)
        around = Path(setting).resolve().parent
        st.markdown(
            f"{code_span(setting)} is itself a run, and the dashboard shows the runs inside a folder. Start it with "
            f"the folder around it: {code_span(f'CLASSPRINT_RUNS={around}')}, or "
            f"{code_span(f'make dashboard RUNS={around}')}."
        )
        return
    if problems:
        st.title("No run can be read", anchor=False)
        for place, problem in problems.items():
            st.error(f"**{escape_markdown(place)}**: {escape_markdown(problem)}", icon=":material/cloud_off:")
        _wait_for_runs()
        return
    st.title("No run yet", anchor=False)
    st.markdown(
        f"""There is no run in {code_span(setting)}. A run is a folder with a file `run.h5` and one file per epoch.
To make one:

```
make compute
```

This trains a small network on a built-in set of images and records every epoch into `runs/quick`. It takes a few
minutes on two processor cores, and each epoch appears here as soon as it is recorded. To train on your own data:

```
make compute PROFILE=paper DATA=/path/to/tiny-imagenet-200 RUN=mine
```

To show runs in other folders, or at a URL, start the dashboard with `CLASSPRINT_RUNS=/path/to/runs:s3://bucket/runs`."""
    )
    _wait_for_runs()


@st.fragment(run_every="4s")
def _wait_for_runs() -> None:
    st.caption("This page checks for a run every four seconds.")
    if data.run_names():
        st.rerun()


def _no_epochs(name: str) -> None:
    st.title(escape_markdown(name), anchor=False)
    st.info(
        "This run has no complete epoch yet. The pages appear with the first one.",
        icon=":material/hourglass_top:",
    )
    _progress(name, data.open_named_run(name))
