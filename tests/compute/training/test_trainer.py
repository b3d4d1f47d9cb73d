from __future__ import annotations

import math
import os
import signal

import pytest
import torch
from torch import nn

from compute.config.settings import AugmentationSettings, TrainingSettings
from compute.runs.interrupt import Interrupted, stop_on_signals
from compute.training.augment import Augmenter, Normaliser, RandomNumbers, affine_rows
from compute.training.distributed import Processes
from compute.training.metrics import Scores
from compute.training.optimizers import AveragedWeights, learning_rate, make_optimizer
from compute.training.trainer import epoch_generator, steps_per_epoch
from tests.compute.cases import tiny_profile

CPU = torch.device("cpu")


def augmented(images, **settings):
    """Augmented values 0..255 (N, 3, h, w): the normaliser is the identity here."""
    off = {"rotation": 0.0, "flip": 0.0}
    identity = Normaliser([0.0] * 3, [1 / 255] * 3, CPU)
    augmenter = Augmenter(AugmentationSettings(**(off | settings)), identity)
    return augmenter(images, RandomNumbers(torch.Generator().manual_seed(0), len(images)))


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(4)
    return torch.randint(0, 256, (64, 12, 12, 3), dtype=torch.uint8, generator=generator)


def values(images):
    return images.permute(0, 3, 1, 2).float()


def test_the_normaliser_is_the_usual_formula():
    normalise = Normaliser([0.5, 0.25, 0.0], [0.5, 0.5, 2.0], CPU)
    pixel = torch.tensor([255, 0, 51], dtype=torch.uint8).view(1, 1, 1, 3)
    assert torch.allclose(normalise(pixel).flatten(), torch.tensor([1.0, -0.5, 0.1]))


def test_without_settings_images_pass_unchanged(images):
    assert torch.equal(augmented(images), values(images))


def test_about_half_of_the_images_are_mirrored_exactly(images):
    seen, plain = augmented(images, flip=0.5), values(images)
    mirrored = (seen == plain.flip(3)).flatten(1).all(1)
    untouched = (seen == plain).flatten(1).all(1)
    assert (mirrored | untouched).all()
    assert 20 <= mirrored.sum() <= 44


def test_resampling_with_nothing_to_do_changes_nothing(images):
    assert torch.allclose(augmented(images, zoom=1e-9), values(images), atol=1e-3)


def test_mirroring_by_resampling_equals_mirroring(images):
    assert torch.allclose(augmented(images, zoom=1e-9, flip=1.0), values(images).flip(3), atol=1e-3)


def test_a_rotation_of_ninety_degrees_turns_the_image(images):
    settings = AugmentationSettings(rotation=90.0, flip=0.0)
    generator = torch.Generator().manual_seed(0)
    rows = affine_rows(settings, RandomNumbers(generator, 1000), (12, 12))
    angles = torch.atan2(rows[:, 3], rows[:, 0]) * 180 / math.pi
    assert -90 <= angles.min() < -85
    assert 85 < angles.max() <= 90
    determinant = rows[:, 0] * rows[:, 4] - rows[:, 1] * rows[:, 3]
    assert torch.allclose(determinant, torch.ones(1000), atol=1e-5)


def test_rotation_keeps_shapes_in_images_that_are_not_square():
    rows = affine_rows(
        AugmentationSettings(rotation=30.0, flip=0.0), RandomNumbers(torch.Generator().manual_seed(1), 5), (10, 20)
    )
    pixels = torch.diag(torch.tensor([10.0, 5.0]))  # half width and half height: from -1..1 to pixels
    for a, b, _, d, e, _ in rows.tolist():
        matrix = pixels @ torch.tensor([[a, b], [d, e]]) @ pixels.inverse()
        assert torch.allclose(matrix @ matrix.T, torch.eye(2), atol=1e-5)


def test_zeros_border_shows_black_corners_and_reflection_none():
    white = torch.full((50, 12, 12, 3), 255, dtype=torch.uint8)
    assert augmented(white, rotation=45.0, border="zeros").amin() == 0
    assert augmented(white, rotation=45.0, border="reflection").amin() > 254


def test_shift_moves_by_at_most_its_share():
    rows = affine_rows(
        AugmentationSettings(rotation=0.0, flip=0.0, shift=0.1), RandomNumbers(torch.Generator(), 1000), (12, 12)
    )
    assert rows[:, 2].abs().max() <= 0.2  # grid_sample's range is 2 wide
    assert rows[:, 2].abs().max() > 0.19


def test_an_erased_square_is_the_mean_and_the_rest_is_untouched(images):
    seen, plain = augmented(images + 1 - (images == 255).to(torch.uint8), erase=0.5), values(images)
    erased = seen == 0
    assert 0.05 < erased.float().mean() < 0.3
    kept = (seen == values(images + 1 - (images == 255).to(torch.uint8))) | erased
    assert kept.all()
    assert plain.shape == seen.shape


def test_the_same_generator_gives_the_same_batch(images):
    chosen = {"rotation": 20.0, "flip": 0.5, "shift": 0.1, "zoom": 0.1, "brightness": 0.2, "erase": 0.2}
    assert torch.equal(augmented(images, **chosen), augmented(images, **chosen))


def test_the_cosine_schedule_is_the_papers_once_an_epoch():
    settings = TrainingSettings(
        epochs=80, learning_rate=1e-4, final_learning_rate=1e-7, schedule="cosine", optimizer="sgd"
    )
    rates = [learning_rate(settings, step=step, steps_per_epoch=1000) for step in (0, 999, 1000, 40_000, 79_999)]
    by_hand = [1e-7 + (1e-4 - 1e-7) * (1 + math.cos(math.pi * epoch / 80)) / 2 for epoch in (0, 0, 1, 40, 79)]
    assert rates == pytest.approx(by_hand)
    parameter = nn.Parameter(torch.zeros(1))
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(torch.optim.SGD([parameter], 1e-4), 80, 1e-7)
    assert theirs.get_last_lr()[0] == pytest.approx(rates[0])


def test_onecycle_rises_to_its_peak_and_falls_to_its_end():
    settings = TrainingSettings(
        epochs=10, learning_rate=1.0, warmup=0.25, schedule="onecycle", final_learning_rate=0.01
    )
    rates = [learning_rate(settings, step=step, steps_per_epoch=10) for step in range(100)]
    assert rates[:25] == sorted(rates[:25])
    assert rates[25:] == sorted(rates[25:], reverse=True)
    assert max(rates) == pytest.approx(1.0)
    assert rates[0] == pytest.approx(1 / 26)
    assert rates[-1] == pytest.approx(0.01, abs=1e-3)


def test_the_constant_schedule_is_constant():
    settings = TrainingSettings(schedule="constant", learning_rate=0.3)
    assert {learning_rate(settings, step=step, steps_per_epoch=3) for step in range(9)} == {0.3}


def test_weight_decay_spares_vectors_unless_all_are_to_be_decayed():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    groups = make_optimizer(network, TrainingSettings(weight_decay=0.1)).param_groups
    assert [(group["weight_decay"], len(group["params"])) for group in groups] == [(0.1, 1), (0.0, 3)]
    groups = make_optimizer(network, TrainingSettings(weight_decay=0.1, decay_all=True, optimizer="sgd")).param_groups
    assert [(group["weight_decay"], len(group["params"])) for group in groups] == [(0.1, 4)]


def test_the_average_moves_towards_the_weights_by_hand():
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    averaged = AveragedWeights(network, 0.5)
    nn.init.constant_(network.weight, 8.0)
    averaged.update(network)  # decay min(0.5, 2/11): 8 * 9/11
    assert averaged.state["weight"].item() == pytest.approx(8 * 9 / 11)
    averaged.update(network)  # decay min(0.5, 3/12)
    assert averaged.state["weight"].item() == pytest.approx(8 - (8 - 8 * 9 / 11) * 0.25)


def test_scores_are_the_means_over_all_images():
    scores = Scores(CPU)
    logits = torch.zeros(2, 10)
    logits[0, 3] = logits[1, 7] = 100.0
    scores.add(logits, torch.tensor([3, 7]))
    scores.add(torch.arange(10.0).repeat(2, 1), torch.tensor([5, 4]))  # 5 is the fifth best, 4 the sixth
    seen = scores.read()
    assert seen["top1"] == 0.5
    assert seen["top5"] == 0.75
    exponentials = sum(math.exp(k - 9) for k in range(10))
    assert seen["loss"] == pytest.approx(((math.log(exponentials) + 4) + (math.log(exponentials) + 5)) / 4)


def test_every_epoch_and_seed_draws_anew_and_all_processes_alike():
    def first_draw(seed, epoch, rank=0):
        return torch.rand(1, generator=epoch_generator(seed, epoch, Processes(rank, 8))).item()

    assert len({first_draw(seed, epoch) for seed in range(3) for epoch in range(1, 4)}) == 9
    assert first_draw(1, 2, rank=0) == first_draw(1, 2, rank=5)


def test_dropout_differs_between_processes():
    def dropped(rank):
        epoch_generator(0, 1, Processes(rank, 8))
        return nn.functional.dropout(torch.ones(100)).tolist()

    assert dropped(0) != dropped(1)
    assert dropped(1) == dropped(1)


def test_a_part_of_a_batch_is_augmented_as_in_the_whole(images):
    settings = AugmentationSettings(rotation=20.0, shift=0.1, zoom=0.1, brightness=0.2, erase=0.2)
    augment = Augmenter(settings, Normaliser([0.0] * 3, [1.0] * 3, CPU))
    whole = augment(images, RandomNumbers(torch.Generator().manual_seed(2), 64))
    part = augment(images[20:50], RandomNumbers(torch.Generator().manual_seed(2), 64, range(20, 50)))
    assert torch.allclose(part, whole[20:50], atol=1e-5)


@pytest.mark.parametrize(("images_there", "batch", "steps"), [(48, 12, 4), (50, 12, 4), (5, 12, 1)])
def test_an_incomplete_last_batch_is_left_out(images_there, batch, steps):
    assert steps_per_epoch(images_there, batch) == steps


def test_the_parts_of_all_processes_cover_everything_once():
    for count in (1, 2, 3, 7):
        parts = [number for rank in range(count) for number in Processes(rank, count).share(23)]
        assert parts == list(range(23))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_the_next_look_and_the_old_handlers_come_back(number):
    before = signal.getsignal(number)
    with stop_on_signals(Processes()) as stop:
        stop.check()
        os.kill(os.getpid(), number)
        with pytest.raises(Interrupted):
            stop.check()
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_stops_at_once():
    with stop_on_signals(Processes()):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_tiny_profile_of_these_tests_is_a_profile():
    assert tiny_profile().training.batch == 12
