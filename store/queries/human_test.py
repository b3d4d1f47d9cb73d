"""The human test: which image a person is shown with which names, and how people compare with the network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from store.metrics.intervals import wilson
from store.read.run import Run
from store.tools.human_answers import Answer

CHOICES = 10  # names to choose from; a person cannot search two hundred
HARD = 4  # of them, the classes that the network finds most probable


@dataclass(frozen=True)
class Question:
    """One image under one variant, and the classes to choose from, by name; the true class is always among them."""

    image: int
    variant: str
    choices: tuple[int, ...]


def question(run: Run, *, seed: int, number: int, epoch: int) -> Question | None:
    """The question `number` of a sitting, the same for the same seed; None when it has shown every image.

    No image is shown twice in a sitting, since a person would know it again under another variant. The network's
    prediction is always among the choices, so its own answer to them is its prediction.
    """
    if number >= len(run.labels):
        return None
    image = int(np.random.default_rng(seed).permutation(len(run.labels))[number])
    random = np.random.default_rng([seed, number])
    variant = str(random.choice(run.variants))
    probable = np.argsort(-run.probabilities(epoch=epoch, variant=variant, images=[image])[0], kind="stable")
    chosen = dict.fromkeys([int(run.labels[image]), *probable[:HARD].tolist()])
    chosen |= dict.fromkeys(random.permutation(len(run.classes)).tolist())
    names = run.classes["name"]
    choices = sorted(list(chosen)[:CHOICES], key=lambda index: str(names[index]).lower())
    return Question(image, variant, tuple(choices))


def people_and_network(run: Run, answers: Iterable[Answer], *, epoch: int) -> pd.DataFrame:
    """A row per variant with answers: how often people and the network recognised the same images.

    Columns: variant, answers, people and network (shares correct) with people_low, people_high, network_low and
    network_high (Wilson, 95 %), only_people and only_network (shares that one side alone has right).
    """
    rows = []
    known = list(answers)
    for variant in run.variants:
        own = [answer for answer in known if answer.variant == variant]
        if not own:
            continue
        images = np.array([answer.image for answer in own])
        people = np.array([answer.answer for answer in own]) == run.labels[images]
        network = run.column("prediction", epoch=epoch, variant=variant)[images] == run.labels[images]
        row = {"variant": variant, "answers": len(own)}
        for side, correct in (("people", people), ("network", network)):
            low, high = wilson(correct.sum(), len(own))
            row |= {side: float(correct.mean()), f"{side}_low": float(low), f"{side}_high": float(high)}
        row |= {"only_people": float((people & ~network).mean()), "only_network": float((network & ~people).mean())}
        rows.append(row)
    return pd.DataFrame(rows, columns=None if rows else ["variant", "answers"])
