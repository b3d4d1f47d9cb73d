"""The measures computed a second time, from the raw files and by other means: no code of the store but its halves."""

import h5py
import hdf5plugin  # noqa: F401 - registers the filters of the files
import numpy as np
import pytest

from store import open_run, queries
from store.analysis.collapse import MAPS, collapse_table
from store.analysis.gather import EpochRecord
from store.metrics.failure_detection import reported_half
from store.metrics.maps import similarity_to_others
from store.synthetic import write_synthetic_run

EPOCH = 2


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return open_run(
        write_synthetic_run(tmp_path_factory.mktemp("runs") / "run", epochs=EPOCH, classes=9, images_per_class=10)
    )


@pytest.fixture(scope="module")
def raw(run):
    """labels (N,), variants, and of the last epoch maps (V, N, C, H, W) and the encoder (N, d), from the bytes."""
    with h5py.File(run.path / "run.h5", locking=False) as file:
        labels, variants = file["labels"][:], [name.rstrip(b"\0").decode() for name in file["variants/name"][:]]
    with h5py.File(run.path / f"epochs/{EPOCH:04d}.h5", locking=False) as file:
        maps = file["maps"][:].astype(float) * file["map_scale"][:][..., None, None]
        probabilities = file["probabilities"][:]
        encoder = file["layers/encoder/quantised"][:] * file["layers/encoder/scale"][:].astype(float)[..., None, None]
        previous = run.path / f"epochs/{EPOCH - 1:04d}.h5"
        with h5py.File(previous, locking=False) as other:
            predictions = [each["images/prediction"][:].astype(int) for each in (other, file)]
    return {
        "labels": labels,
        "variants": variants,
        "maps": maps,
        "probabilities": probabilities,
        "encoder": encoder.reshape(len(labels), -1),
        "predictions": predictions,
    }


def softmax(logits):
    odds = np.exp(logits)
    return odds / odds.sum(-1, keepdims=True)


def test_temperature_calibration_and_sets(run, raw):
    labels, logits = raw["labels"], raw["maps"][0].mean((-1, -2))
    reported = reported_half(run.labels, seed=0)

    def nll(temperature, images):
        chances = softmax(logits[images] / temperature)
        return -np.log([row[label] for row, label in zip(chances, labels[images], strict=True)]).mean()

    grid = np.exp(np.linspace(np.log(0.02), np.log(50), 4001))
    best = grid[np.argmin([nll(temperature, ~reported) for temperature in grid])]
    table = queries.recalibration_table(run, epoch=EPOCH)
    assert table["temperature"].tolist() == pytest.approx([1, best], rel=0.005)
    assert table["nll"].tolist() == pytest.approx([nll(1, reported), nll(best, reported)], rel=0.01)
    for row, temperature in enumerate((1, table["temperature"][1])):
        chances = softmax(logits[reported] / temperature)
        surest, right = chances.max(1), chances.argmax(1) == labels[reported]
        gaps = [
            abs(right[bin_].sum() - surest[bin_].sum())
            for low in range(15)
            if (bin_ := (surest > low / 15) & (surest <= (low + 1) / 15)).any()
        ]
        assert table["ece"][row] == pytest.approx(sum(gaps) / reported.sum(), abs=1e-4)

    sets = queries.prediction_sets(run, epoch=EPOCH).set_index(["miss", "variant"])
    own = raw["probabilities"][0][np.arange(len(labels)), labels]
    calibrating = sorted(own[~reported])
    for miss in (0.1, 0.05):
        missed = int(np.floor((len(calibrating) + 1) * miss + 1e-9))  # as many may lie below the threshold
        threshold = calibrating[missed - 1] if missed else 0.0
        for number, variant in enumerate(raw["variants"]):
            chances = raw["probabilities"][number][reported]
            inside = chances >= threshold
            row = sets.loc[(miss, variant)]
            assert row["threshold"] == pytest.approx(threshold)
            assert row["coverage"] == pytest.approx(inside[np.arange(len(inside)), labels[reported]].mean())
            assert row["mean_size"] == pytest.approx(inside.sum(1).mean())


def test_deletion_and_insertion_areas(run, raw):
    areas = queries.removal_curves(run, epoch=EPOCH).attrs["areas"]
    found = {"deletion": [], "insertion": []}
    for maps, prediction in zip(raw["maps"][0], raw["predictions"][1][0], strict=True):
        cells = maps.reshape(len(maps), -1)
        order = sorted(range(cells.shape[1]), key=lambda cell: -cells[prediction, cell])
        for measure in found:
            curve = []
            for step in range(cells.shape[1] + 1):
                left = order[step:] if measure == "deletion" else order[:step]
                curve.append(softmax(cells[:, left].sum(1) / cells.shape[1])[prediction])
            found[measure].append(np.trapezoid(curve, dx=1 / cells.shape[1]))
    for measure, values in found.items():
        assert areas[measure, "map"][0] == pytest.approx(np.mean(values), abs=1e-5)


def test_collapse_of_the_encoder_and_the_maps(run, raw):
    record = EpochRecord(run, run.epochs, predictions=[np.array(each) for each in raw["predictions"]])
    table = collapse_table(record).set_index(["epoch", "layer"])
    labels, prediction = raw["labels"], raw["predictions"][1][0]
    classes, cells = labels.max() + 1, raw["maps"][0, 0, 0].size
    weights = np.kron(np.eye(classes), np.ones(cells) / cells)
    for layer, features in (("encoder", raw["encoder"]), (MAPS, raw["maps"][0].reshape(len(labels), -1))):
        means = np.array([np.mean(features[labels == label], 0) for label in range(classes)])
        inner = sum(
            np.outer(row - means[label], row - means[label]) for row, label in zip(features, labels, strict=True)
        )
        centred = means - means.mean(0)
        between = sum(np.outer(row, row) for row in centred) / classes
        row = table.loc[(EPOCH, layer)]
        nc1 = np.trace(inner / len(labels) @ np.linalg.pinv(between, rcond=1e-9, hermitian=True)) / classes
        assert row["nc1"] == pytest.approx(nc1, rel=1e-3)
        lengths = [np.linalg.norm(each) for each in centred]
        assert row["nc2_norm"] == pytest.approx(np.std(lengths) / np.mean(lengths), rel=1e-3)
        pairs = [(a, b) for a in range(classes) for b in range(a)]
        angles = [abs(centred[a] @ centred[b] / lengths[a] / lengths[b] + 1 / (classes - 1)) for a, b in pairs]
        assert row["nc2_angle"] == pytest.approx(np.mean(angles), rel=1e-3)
        nearest = [min(range(classes), key=lambda c: np.linalg.norm(row - means[c])) for row in features]
        assert row["nc4"] == np.mean(np.array(nearest) != prediction)
        if layer == MAPS:
            gap = weights / np.linalg.norm(weights) - centred / np.linalg.norm(centred)
            assert row["nc3"] == pytest.approx(np.linalg.norm(gap), rel=1e-3)


def test_churn_corruption_errors_and_similarity_to_the_others(run, raw):
    labels, (before, after) = raw["labels"], raw["predictions"]
    row = queries.epoch_churn(run).iloc[0]
    pairs = list(zip(before[0], after[0], labels, strict=True))
    assert row["churn"] == sum(was != now for was, now, _ in pairs) / len(pairs)
    assert row["newly_correct"] == sum(was != label == now for was, now, label in pairs) / len(pairs)
    assert row["newly_wrong"] == sum(was == label != now for was, now, label in pairs) / len(pairs)

    wrong = {name: (after[number] != labels).mean() for number, name in enumerate(raw["variants"])}
    errors = queries.corruption_errors(run, epoch=EPOCH)
    # the synthetic blurs change no pixel
    noises = [wrong["salt_pepper_0.0005"], wrong["salt_pepper_0.005"]]
    assert errors == {name: [wrong[name]] for name in ("gray", "bgr", "brg")} | {"salt_pepper": noises}

    maps = raw["maps"][0][np.arange(len(labels)), labels].reshape(len(labels), -1)
    found = similarity_to_others(maps.reshape(len(labels), 8, 8), labels)
    for image in (0, 7, 23):
        others = [other for other in np.flatnonzero(labels == labels[image]) if other != image]
        mean = np.mean(maps[others], 0)
        cosine = maps[image] @ mean / np.linalg.norm(maps[image]) / np.linalg.norm(mean)
        assert found[image] == pytest.approx(cosine, rel=1e-5)
