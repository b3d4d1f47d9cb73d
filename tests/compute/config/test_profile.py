import dataclasses

import pytest

from compute.config.profile import as_dict, load_profile, override, parse_profile, profile_names, settings_table
from compute.config.settings import Profile
from compute.errors import BadOption


def test_every_built_in_profile_can_be_read():
    assert {"quick", "paper", "tiny", "fast", "grid", "baseline"} <= set(profile_names())
    assert all(isinstance(load_profile(name), Profile) for name in profile_names())


def test_the_paper_profile_is_the_papers_training():
    profile = load_profile("paper")
    assert dataclasses.asdict(profile.training) == {
        "epochs": 80,
        "batch": 100,
        "optimizer": "sgd",
        "learning_rate": 1e-4,
        "final_learning_rate": 1e-7,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "decay_all": True,
        "schedule": "cosine",
        "warmup": 0.0,
        "label_smoothing": 0.0,
        "weight_averaging": 0.0,
        "precision": "bfloat16",
        "compile": False,
        "seed": 0,
    }
    assert profile.model.options == {"encoder_norm": "instance", "dropout": 0.3, "scale": 1.0}
    assert (profile.augmentation.rotation, profile.augmentation.flip, profile.augmentation.border) == (20, 0.5, "zeros")
    assert profile.data.mean == (0.4802, 0.4481, 0.3975)
    assert profile.data.sd == (0.2302, 0.2265, 0.2262)
    assert profile.weights.source == "imagenet"


def test_no_section_has_more_than_seventeen_settings_and_each_is_explained():
    sections: dict[str, int] = {}
    for name, _, text in settings_table():
        sections[name.partition(".")[0]] = sections.get(name.partition(".")[0], 0) + 1
        assert text, name
    assert max(sections.values()) <= 17


@pytest.mark.parametrize(
    ("text", "section", "key", "value"),
    [
        ("training.epochs=3", "training", "epochs", 3),
        ("training.learning_rate = 1e-3", "training", "learning_rate", 1e-3),
        ("training.learning_rate=1", "training", "learning_rate", 1.0),
        ("data.source=/some/folder", "data", "source", "/some/folder"),
        ("data.source='2024'", "data", "source", "2024"),
        ('recording.variants=["clean", "gray"]', "recording", "variants", ("clean", "gray")),
        ("recording.layers=false", "recording", "layers", False),
    ],
)
def test_an_override_sets_one_value(text, section, key, value):
    profile = override(Profile(), text)
    assert getattr(getattr(profile, section), key) == value


def test_an_override_of_one_model_option_keeps_the_others():
    profile = load_profile("paper", ["model.options.dropout=0.2"])
    assert profile.model.options == {"encoder_norm": "instance", "dropout": 0.2, "scale": 1.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training", r"'training' is not an override. Write section.key=value"),
        ("training.epochs", r"'training.epochs' is not an override"),
        ("train.epochs=3", r"no section 'train' in a profile. Sections: data, model"),
        ("training.epoch=3", r"no setting 'training.epoch'. Section training has: epochs, batch"),
        ("training.epochs=0", r"training.epochs = 0 is too small. The minimum is 1"),
        ("training.epochs=2.5", r"training.epochs must be a whole number, not 2.5"),
        ("training.epochs=true", r"training.epochs must be a whole number, not True"),
        ("training.epochs=many", r"training.epochs must be a whole number, not 'many'"),
        ("training.learning_rate=0", r"training.learning_rate = 0.0 is invalid"),
        ("training.learning_rate=nan", r"training.learning_rate = nan is invalid"),
        ("training.learning_rate=inf", r"training.learning_rate = inf is invalid: it must be a finite number"),
        ("training.learning_rate=1" + "0" * 400, r"training.learning_rate = inf is invalid"),
        ("data.mean=[0, nan, 0]", r"data.mean = nan is invalid: it must be a finite number"),
        ("model.options.scale=inf", r"model.options = inf is invalid"),
        ("training.seed=4294967296", r"training.seed = 4294967296 is too large. The maximum is 4294967295"),
        ("training.optimizer=adam", r"training.optimizer cannot be 'adam'. It takes one of: sgd, adamw"),
        ("training.compile=1", r"training.compile must be true or false, not 1"),
        ("augmentation.flip=2", r"augmentation.flip = 2.0 is too large. The maximum is 1"),
        ("data.mean=0.5", r"data.mean must be a list, not 0.5"),
        ('data.mean=["a"]', r"data.mean must be a number, not 'a'"),
        ("data.size=8", r"data.size = 8 is too small. The minimum is 16"),
    ],
)
def test_a_wrong_override_is_refused_with_what_is_allowed(text, message):
    with pytest.raises(BadOption, match=message):
        override(Profile(), text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training]\nepocs = 3\n", r"no setting 'training.epocs'"),
        ("[training\nepochs = 3\n", r"not valid TOML: .*line 1"),
    ],
)
def test_a_profile_file_with_an_error_is_refused(tmp_path, text, message):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(BadOption, match=message):
        load_profile(str(tmp_path / "mine.toml"))


def test_a_value_where_a_section_belongs_is_refused():
    with pytest.raises(BadOption, match=r"'training' is a section, not a value"):
        parse_profile({"training": 3})


def test_an_unknown_profile_is_refused_with_the_known_ones():
    with pytest.raises(BadOption, match=r"no profile 'quik'. Built in: .*quick"):
        load_profile("quik")


def test_settings_survive_the_way_into_a_run_and_back():
    profile = load_profile("quick", ["training.seed=5"])
    assert parse_profile(as_dict(profile)) == profile
