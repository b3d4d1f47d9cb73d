from pathlib import Path

import pytest

from compute.errors import BadWeights
from compute.runs.checkpoint_files import find_files, number_epochs, thin_out


def numbered(*names: str, recorded: list[int | None] | None = None, trust: bool = False) -> list[tuple[int, str]]:
    inside = dict(zip(map(Path, names), recorded or [None] * len(names), strict=True))
    files = number_epochs(list(inside), inside.__getitem__, trust_files=trust)
    return [(file.epoch, file.label) for file in files]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["e1.pt", "e3.pt", "e10.pt"], [(1, ""), (3, ""), (10, "")]),
        (["checkpoint_2.pth", "model-03.pth"], [(1, "checkpoint_2"), (2, "model-03")]),
        (["0001.pt", "0007.pt"], [(1, ""), (7, "")]),
        (["resnet18_epoch_2.pth", "resnet18_epoch_11.pth"], [(2, "resnet18_epoch_2"), (11, "resnet18_epoch_11")]),
        (["epoch=4-step=500.ckpt"], [(4, "epoch=4-step=500")]),
        (["step_1000.pt", "step_500.pt"], [(500, "step_500"), (1000, "step_1000")]),
        (["net50-v2-3.pt", "net50-v2-4.pt"], [(3, "net50-v2-3"), (4, "net50-v2-4")]),
        (["best.pt", "last.pt"], [(1, "best"), (2, "last")]),
        (["best.pt", "epoch3.pt"], [(1, "best"), (2, "epoch3")]),
        (["resnet50-0676ba61.pth"], [(1, "resnet50-0676ba61")]),
        (["a/e1.pt", "b/e1.pt"], [(1, ""), (2, "e1")]),
        (["e1.pt", "e9999999999.pt"], [(1, ""), (2, "e9999999999")]),
        # counted from 0, which is the untrained network here, as in this project's own 0000.pt
        (["epoch=0-step=99.ckpt", "epoch=1-step=199.ckpt"], [(1, "epoch=0-step=99"), (2, "epoch=1-step=199")]),
        (["model_0.pth", "model_1.pth"], [(1, "model_0"), (2, "model_1")]),
        (["0000.pt", "0001.pt"], [(0, ""), (1, "")]),
    ],
)
def test_epochs_are_numbered_and_labelled_by_the_names_of_the_files(names, expected):
    assert numbered(*names) == expected


def test_the_number_in_the_file_is_taken_where_the_name_has_none():
    assert numbered("best.pt", "last.pt", recorded=[12, 30]) == [(12, "best"), (30, "last")]
    assert numbered("best.pt", recorded=[0]) == [(1, "best")]
    assert numbered("e5.pt", recorded=[4]) == [(5, "")]
    assert numbered("epoch=4.ckpt", "last.ckpt", recorded=[5, 9], trust=True) == [(5, "epoch=4"), (9, "last")]
    assert numbered("epoch=0.ckpt", "last.ckpt", recorded=[0, 9], trust=True) == [(0, ""), (9, "last")]
    assert numbered("best.pt", "last.pt", recorded=[30, 30]) == [(1, "best"), (2, "last")]


def test_patterns_and_folders_mean_their_files_once_in_natural_order(tmp_path):
    for name in ("e10.pt", "e2.pt", "e2.state.pt", "e1.pt", "notes.txt"):
        (tmp_path / name).touch()
    names = ["e1.pt", "e2.pt", "e10.pt"]
    assert [path.name for path in find_files([str(tmp_path)])] == names
    assert [
        path.name for path in find_files([str(tmp_path / "e?.pt"), str(tmp_path / "*0.pt"), str(tmp_path)])
    ] == names
    (tmp_path / "e[1].pt").touch()
    assert [path.name for path in find_files([str(tmp_path / "e[1].pt")])] == ["e[1].pt"]
    with pytest.raises(BadWeights, match=r"'nowhere/.*pt' does not exist"):
        find_files(["nowhere/*.pt"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadWeights, match=r"empty' contains no file that ends in .pt"):
        find_files([str(tmp_path / "empty")])


def test_the_last_file_is_always_among_those_that_are_thinned_out():
    files = number_epochs([Path(f"{n}.pt") for n in range(1, 8)], lambda path: None)
    assert [file.epoch for file in thin_out(files, 3)] == [1, 4, 7]
    assert [file.epoch for file in thin_out(files[:5], 2)] == [1, 3, 5]
    assert [file.epoch for file in thin_out(files[:6], 4)] == [2, 6]
