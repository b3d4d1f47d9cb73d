from dataclasses import replace

from store import ClassInfo, open_run
from store.rates import percent
from store.synthetic import create_synthetic_run, record_synthetic_epoch, synthetic_description, write_synthetic_run


def test_the_line_says_what_was_recorded_and_how_much(tiny_run):
    assert repr(open_run(tiny_run)) == (
        "Run 'tiny': 5 classes, 20 images of 16×16, maps 8×8, 8 variants, epochs 1 to 3 of 3"
    )


def test_the_table_escapes_names_and_gives_the_accuracies(tmp_path):
    named = synthetic_description("odd", 2, 3, epochs=1)
    classes = (ClassInfo("n0", "<script>alert(1)</script>", "a"), ClassInfo("n1", "b & c", "a"))
    record_synthetic_epoch(create_synthetic_run(tmp_path / "odd", replace(named, classes=classes)), 1)
    run = open_run(tmp_path / "odd")
    html = run._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;alert(1)" in html and "b &amp; c" in html
    assert f"clean {percent(run.accuracy())}" in html


def test_gaps_and_damage_are_said(tmp_path):
    path = write_synthetic_run(tmp_path / "gaps", epochs=4)
    (path / "epochs" / "0002.h5").write_bytes(b"nothing")
    run = open_run(path)
    assert repr(run).endswith("epochs 1 to 4 (3 of them) of 4, 1 damaged")
    assert "1 damaged" in run._repr_html_()
