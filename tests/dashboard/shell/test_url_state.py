"""The selection and its address."""

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.shared.theme import epoch_list


@pytest.mark.parametrize(
    ("numbers", "words"),
    [((3,), "epoch 3"), ((1, 2, 3), "epochs 1 to 3"), ((5, 1, 2, 9), "epochs 1 to 2, 5, 9"), ((), "epochs –")],
)
def test_epochs_are_listed_in_spans(numbers, words):
    assert epoch_list(numbers) == words


def _script():
    import streamlit as st

    from dashboard.shell import url_state

    url_state.start_link_check()
    low, high = url_state.value_range("range")
    st.write(
        f"{url_state.choice('sort', ['up', 'down'], 'up')}|{url_state.integer('p', 1, 9, 1)}|{low:g}|{high:g}|"
        f"{url_state.link('image', {'image': 7, 'class': None})}|{url_state.link('overview')}|"
        f"{url_state.number('density', 0.0, 0.5, 0.05):g}"
    )
    for report_problem in url_state.problems():
        st.warning(report_problem)


def run_script(**parameters):
    app = AppTest.from_function(_script)
    for name, value in parameters.items():
        app.query_params[name] = value
    app.run()
    return app.markdown[0].value.split("|"), [warning.value for warning in app.warning]


def test_a_link_without_parameters_gives_the_defaults():
    assert run_script() == (["up", "1", "0", "1", "image?image=7", "./", "0.05"], [])


def test_good_parameters_are_taken():
    values, reported = run_script(sort="down", p="4", range="0.25-0.5", density="1e-1")
    assert values[:4] == ["down", "4", "0.25", "0.5"] and values[6] == "0.1" and reported == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sort", "sideways"),
        ("p", "10"),
        ("p", "٣x"),
        ("p", "-1"),
        ("range", "1-0"),
        ("range", "a-b"),
        ("range", "0.5"),
        ("range", "nan-nan"),
        ("sort", "<script>"),
        ("density", "0.6"),
        ("density", "-1"),
        ("density", "nan"),
        ("density", "much"),
    ],
)
def test_a_bad_parameter_is_reported_and_the_default_taken(name, value):
    values, reported = run_script(**{name: value})
    assert values[:4] == ["up", "1", "0", "1"] and values[6] == "0.05"
    assert len(reported) == 1 and f"“{value}”" in reported[0]


def test_links_carry_the_selection_and_escape_what_they_carry():
    values, _ = run_script(run="my run&x=1", epoch="3", p="2", **{"class": "n1"})
    assert values[4] == "image?run=my+run%26x%3D1&epoch=3&image=7"
