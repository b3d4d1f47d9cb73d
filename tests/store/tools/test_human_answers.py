import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from store import StoreError
from store.tools import human_answers
from store.tools.human_answers import Answer, add_answer, answers_file, read_answers


@pytest.fixture
def answer(run):
    return Answer(run.id, "0000abcd", 3, "gray", 1)


def test_answers_of_many_sessions_at_once_are_all_kept(run, answer, tmp_path):
    path = tmp_path / "answers"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: add_answer(path, replace(answer, session=f"{number:08x}")), range(200)))
    found = read_answers(path, run)
    assert sorted(each.session for each in found) == [f"{number:08x}" for number in range(200)]
    assert {replace(each, session="") for each in found} == {replace(answer, session="")}


def test_without_a_file_there_are_no_answers(run, tmp_path):
    assert read_answers(tmp_path / "answers", run) == []
    assert answers_file(run).parent == run.path.parent


@pytest.mark.parametrize(
    "change",
    [
        {"run_id": "of another run"},
        {"image": 20},
        {"image": -1},
        {"image": True},
        {"answer": 5},
        {"answer": 1.0},
        {"variant": "sepia"},
        {"session": "x" * 65},
        {"more": 1},
    ],
)
def test_a_line_that_is_no_answer_about_this_run_is_left_out(run, answer, tmp_path, change):
    path = tmp_path / "answers"
    path.write_text(
        json.dumps(vars(answer) | change) + "\nno json\n[]\n" + "[" * 9000 + "\n" + json.dumps(vars(answer))
    )
    assert read_answers(path, run) == [answer]


def test_a_full_file_and_a_link_are_refused(run, answer, tmp_path, monkeypatch):
    path = tmp_path / "answers"
    monkeypatch.setattr(human_answers, "MOST_BYTES", 150)
    add_answer(path, answer)
    with pytest.raises(StoreError, match="Move it away"):
        add_answer(path, answer)
    assert len(read_answers(path, run)) == 1
    (tmp_path / "elsewhere").write_text("mine")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot be written"):
        add_answer(link, answer)
    with pytest.raises(StoreError):
        read_answers(link, run)
    assert (tmp_path / "elsewhere").read_text() == "mine"
