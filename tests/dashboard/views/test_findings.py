"""Findings: what trainings with other seeds report of the same."""

from dashboard import data
from store import open_run
from store.analysis.analyse import analyse
from store.synthetic import write_synthetic_run


def test_a_finding_says_whether_another_training_reports_it(opened, tmp_path):
    for seed in (0, 1):
        configuration = {"training": {"seed": seed}}
        path = write_synthetic_run(tmp_path / f"seed{seed}", epochs=3, images_per_class=40, configuration=configuration)
        analyse(open_run(path))
    app = opened(tmp_path, "findings", run="seed0")
    assert not app.exception and not app.error
    texts = [part.value for part in app.caption]
    assert any("of the 2 trainings in this folder" in text for text in texts)
    found = data.findings(open_run(tmp_path / "seed0"))
    assert found and sum("2 trainings that differ in their seed alone" in text for text in texts) == len(found)


def test_a_training_alone_is_not_compared(opened, tmp_path):
    path = write_synthetic_run(
        tmp_path / "alone", epochs=3, images_per_class=40, configuration={"training": {"seed": 0}}
    )
    analyse(open_run(path))
    texts = [part.value for part in opened(tmp_path, "findings").caption]
    assert any("Whether another seed would give the same is not known" in text for text in texts)
    assert not any("Reported by" in text for text in texts)
