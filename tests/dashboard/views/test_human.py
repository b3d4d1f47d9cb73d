"""Human test: an answer is kept beside the run without a word about it, and compared once the reader asks."""

import shutil

from store import open_run
from store.tools.human_answers import answers_file, read_answers
from tests.dashboard.app import texts


def test_an_answer_is_kept_beside_the_run_and_compared_with_the_network(opened, tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "tiny")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "tiny").rglob("*")}
    app = opened(tmp_path, "human")
    assert not app.exception
    answer = next(button for button in app.button if button.label.startswith("Answer"))
    assert answer.disabled
    app.radio[0].set_value(-1).run()
    next(button for button in app.button if button.label.startswith("Answer")).click().run()
    run = open_run(tmp_path / "tiny")
    found = read_answers(answers_file(run), run)
    assert [each.answer for each in found] == [-1]
    assert app.radio[0].value is None
    assert "Wilson" not in texts(app)
    app.session_state["human-results"] = True
    app.run()
    assert "1 answer in 1 sitting" in texts(app)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "tiny").rglob("*")}
