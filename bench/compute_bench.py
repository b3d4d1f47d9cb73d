"""Training and recording against the obvious alternatives, in one run, so that the ratios hold whatever the machine.

    python -m bench.compute_bench [--data phantom] [--profile quick] [--steps 20] [--rounds 3] [--output FILE]

Training: the profile's own step against the plain torchvision loop (ImageFolder over JPEG files, DataLoader with two
workers, per-picture transforms, float32, PyTorch's grouped transposed convolution), the two taking turns. Recording:
the forward passes of all variants alone against the same passes recorded and sealed. Gallery: the maps of one class's
pictures read from the record against Grad-CAM computed on demand by the usual library.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from compute.augment import Draws
from compute.device import describe_device, use_threads
from compute.explain import Logits
from compute.models import build
from compute.preparation import Prepared, prepare
from compute.profile import load_profile, override
from compute.record import Recorder, forward
from compute.scores import Scores
from compute.train import Trainer
from store import create_run, open_run, resume_run

GALLERY = 50  # pictures on one page of a class


def main() -> None:
    """Measure and print one table in Markdown."""
    options = _options()
    use_threads(options.threads)
    profile = load_profile(options.profile, options.set)
    if options.data:
        profile = override(profile, f"data.source='{options.data}'")
    prepared = prepare(profile, device="auto")
    with tempfile.TemporaryDirectory() as folder:
        rows = training_rows(prepared, Path(folder) / "jpeg", steps=options.steps, rounds=options.rounds)
        rows += recording_rows(prepared, Path(folder) / "run", rounds=options.rounds)
        rows += gallery_rows(prepared, Path(folder) / "run")
    head = f"{describe_device(prepared.device)}, PyTorch {torch.__version__}, {prepared.dataset.name}, "
    head += f"network {profile.model.name}, batches of {profile.training.batch}, median of {options.rounds} rounds"
    lines = [head, "", "| what | alternative | Classprint | ratio |", "| --- | ---: | ---: | ---: |"]
    text = "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text)


def training_rows(prepared: Prepared, folder: Path, *, steps: int, rounds: int) -> list[tuple[str, ...]]:
    """Pictures a second of both training loops, taking turns."""
    _write_jpeg(prepared, folder, steps * prepared.profile.training.batch)
    ours, plain = _our_step(prepared), _plain_steps(prepared, folder)
    speeds: dict[str, list[float]] = {"plain": [], "ours": []}
    batch = prepared.profile.training.batch
    for _ in range(rounds + 1):  # the first round warms up
        started = time.perf_counter()
        done = sum(1 for _ in plain())
        speeds["plain"].append(done * batch / (time.perf_counter() - started))
        speeds["ours"].append(steps * batch / _seconds(lambda: [ours() for _ in range(steps)], prepared.device))
    theirs, mine = (statistics.median(values[1:]) for values in (speeds["plain"], speeds["ours"]))
    return [("training, pictures/s", f"{theirs:.0f}", f"{mine:.0f}", f"{mine / theirs:.2f}x")]


def recording_rows(prepared: Prepared, path: Path, *, rounds: int) -> list[tuple[str, ...]]:
    """Seconds of the forward passes of all variants, and of the same recorded and sealed."""
    recorder = Recorder(
        prepared.validation(),
        settings=prepared.profile.recording,
        normalise=prepared.normaliser,
        precision=prepared.profile.training.precision,
    )
    with create_run(path, prepared.description(path.name)) as new_run:
        recorder.write_pictures(new_run)
    run = resume_run(path)
    alone, recorded = [], []
    for epoch in range(1, rounds + 1):
        alone.append(_seconds(lambda: _forward_only(prepared, recorder), prepared.device))
        started = time.perf_counter()
        with run.epoch(epoch) as writer:
            recorder.record(prepared.network, writer, title=f"round {epoch}")
        recorded.append(time.perf_counter() - started)
    passes, whole = statistics.median(alone), statistics.median(recorded)
    size = (path / "epochs" / "0001.h5").stat().st_size
    count = len(prepared.dataset.validation.labels) * len(prepared.profile.recording.variants)
    return [
        (
            "forward passes of an epoch's record, s",
            f"{passes:.1f}",
            f"{whole:.1f} recorded",
            f"+{whole / passes - 1:.0%}",
        ),
        ("bytes a picture and variant (untrained network)", "", f"{size / count:.0f}", ""),
    ]


def gallery_rows(prepared: Prepared, path: Path) -> list[tuple[str, ...]]:
    """Milliseconds to the maps of one gallery: read from the record, or by Grad-CAM on demand."""
    run = open_run(path)
    images = list(range(min(GALLERY, len(run.labels))))
    started = time.perf_counter()
    run.own_maps(epoch=1, variant="clean", images=images)
    read = time.perf_counter() - started
    logits = Logits(prepared.network)
    layer = logits.network.get_submodule("encoder.layer4")
    x = prepared.normaliser(torch.from_numpy(run.pictures(images)).to(prepared.device))
    targets = [ClassifierOutputTarget(int(label)) for label in run.labels[images]]
    with GradCAM(model=logits, target_layers=[layer]) as cam:
        cam(input_tensor=x[:2], targets=targets[:2])
        started = time.perf_counter()
        cam(input_tensor=x, targets=targets)
        on_demand = time.perf_counter() - started
    what = f"maps of {len(images)} pictures, ms"
    return [(what, f"{on_demand * 1e3:.0f} (Grad-CAM)", f"{read * 1e3:.1f} (read)", f"{on_demand / read:.0f}x")]


def _our_step(prepared: Prepared) -> Callable[[], None]:
    """One training step of Classprint on pictures that are on the device."""
    settings = prepared.profile.training
    network = build(prepared.profile.model.name, len(prepared.dataset.classes), **prepared.profile.model.options)
    network.to(prepared.device).to(memory_format=torch.channels_last).train()
    trainer = Trainer(network, settings=settings, augment=prepared.augmenter)
    material, scores = prepared.material(), Scores(prepared.device)
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        chosen = torch.randint(len(material.labels), (settings.batch,), generator=generator).to(prepared.device)
        draws = Draws(generator, settings.batch)
        trainer.step(material.pictures[chosen], material.labels[chosen], 1e-3, draws, scores)

    return step


def _plain_steps(prepared: Prepared, folder: Path) -> Callable[[], Iterator[None]]:
    """The loop that most code has: one pass over the JPEG files, yielding after every step."""
    classes, settings = len(prepared.dataset.classes), prepared.profile.training
    network = build(prepared.profile.model.name, classes, **prepared.profile.model.options).to(prepared.device)
    if hasattr(network, "class_maps") and prepared.profile.model.name == "paper":
        grouped = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1, bias=False, groups=classes)
        network.get_submodule("class_maps").register_module("conv", grouped.to(prepared.device))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    per_picture = [
        transforms.RandomRotation(prepared.profile.augmentation.rotation),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(prepared.profile.data.mean, prepared.profile.data.sd),
    ]
    files = ImageFolder(str(folder), transforms.Compose(per_picture))

    def steps() -> Iterator[None]:
        network.train()
        for x, labels in DataLoader(files, settings.batch, shuffle=True, num_workers=2, drop_last=True):
            loss = functional.cross_entropy(network(x.to(prepared.device)).mean((-1, -2)), labels.to(prepared.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield

    return steps


def _forward_only(prepared: Prepared, recorder: Recorder) -> None:
    """All variants of all validation pictures through the network; the maps are dropped."""
    prepared.network.eval()
    total, size = len(recorder.validation.labels), recorder.settings.batch
    with torch.inference_mode():
        for start in range(0, total, size):
            for variant in recorder.settings.variants:
                pictures = recorder.seen(variant, slice(start, min(start + size, total)))
                forward(prepared.network, prepared.normaliser(pictures), recorder.precision)


def _write_jpeg(prepared: Prepared, folder: Path, count: int) -> None:
    """The first training pictures of the classes as JPEG files, one folder a class."""
    train = prepared.dataset.train
    chosen = np.random.default_rng(0).permutation(len(train.labels))[:count]
    for number in chosen:
        place = folder / f"{train.labels[number]:04d}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(train.pictures[number])).save(place / f"{number}.jpg", quality=90)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that the work takes, waited for."""
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--data", help="as for python -m compute")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int, default=20, help="steps a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
