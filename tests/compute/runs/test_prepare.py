import pytest

from compute.errors import BadOption
from compute.runs.prepare import prepare
from compute.training.distributed import Processes
from tests.compute.cases import tiny_profile


def test_a_batch_too_small_for_its_processes_is_refused():
    with pytest.raises(BadOption, match=r"training.batch = 2 cannot be shared by 2 processes"):
        prepare(tiny_profile("training.batch=2"), device="cpu", processes=Processes(0, 2))


def test_training_images_that_processes_cannot_share_are_refused():
    few = tiny_profile("data.classes=2", "data.train_per_class=1")
    assert prepare(few, device="cpu").profile.training.batch == 2
    with pytest.raises(BadOption, match=r"2 training images are too few for 2 processes"):
        prepare(few, device="cpu", processes=Processes(0, 2))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.size=[16,16,16]", r"data.size = \[16, 16, 16\] is not possible: give one number, or \[height, width\]"),
        ("data.size=[16,24]", "The phantom's images are square"),
        ("data.mean=[0.5]", r"data.mean = \[0.5\] is not one number for each of 3 channels"),
        ('recording.variants=["clean","sepia"]', "recording.variants: There is no variant 'sepia'"),
    ],
)
def test_settings_that_fit_no_images_are_refused_before_training(setting, message):
    with pytest.raises(BadOption, match=message):
        prepare(tiny_profile(setting), device="cpu")


def test_compiling_without_a_compiler_is_refused_before_training(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(BadOption, match=r"needs a C\+\+ compiler, but 'no-such-compiler' is not installed"):
        prepare(tiny_profile("training.compile=true"), device="cpu")
