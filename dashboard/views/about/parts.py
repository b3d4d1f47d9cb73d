"""The glossary: each measure of the pages with its equation. `store.metrics` holds the definitions."""

from __future__ import annotations

from typing import NamedTuple


class Word(NamedTuple):
    """A word of the pages: its name, its equation in LaTeX, what it means in a sentence or two."""

    name: str
    equation: str
    meaning: str


GLOSSARY: dict[str, tuple[Word, ...]] = {
    "The network and its prediction": (
        Word(
            "Class map f_k",
            r"f_k \in \mathbb{R}^{H \times W}",
            "The last layer's map of class k: one map per class, no mixing between them.",
        ),
        Word(
            "Score S_k (Eq. 8)",
            r"S_k = \frac{1}{HW} \sum_{y,x} f_k(y, x)",
            "Exactly the mean of the map: nothing else enters the prediction. Its unit is the logit.",
        ),
        Word(
            "Probability P_k (Eq. 4)",
            r"P_k = \frac{e^{S_k}}{\sum_j e^{S_j}}",
            "The softmax over all classes. The prediction is the class with the largest one, the confidence.",
        ),
        Word(
            "Loss (Eq. 9)",
            r"L = -\sum_k T_k \log P_k",
            "Cross entropy with the true class T: what training makes small.",
        ),
        Word(
            "Margin",
            r"P_{(1)} - P_{(2)}",
            "By how much the prediction was ahead of the runner-up: near 0 is a close call.",
        ),
        Word(
            "Top-5, rank of the true class",
            r"\#\{k : P_k > P_y\} + 1 \le 5",
            "Rank 1 is a correct prediction; the top-5 accuracy counts the true classes of rank 5 or better.",
        ),
    ),
    "Looking at a map": (
        Word(
            "Display (Eq. 10)",
            r"f_k^{\mathrm{norm}} = f_k / \max f_k",
            "Each map by its own maximum: shows the pattern, hides its strength. The common scale shows both.",
        ),
        Word(
            "Class pattern, letter",
            r"\bar f_k = \mathrm{mean}_{x \in k} f_k(x)",
            "The mean of the maps that a class's images give their own class.",
        ),
        Word(
            "Likeness",
            r"\cos(a, b) = \frac{a \cdot b}{\lVert a \rVert \lVert b \rVert}",
            "Of two maps as vectors: 1 for the same pattern whatever its strength, 0 for nothing in common.",
        ),
        Word(
            "Spread",
            r"\mathrm{mean}_{x \in k}\, 1 - \cos(f_k(x), \bar f_k)",
            "How far a class's maps scatter round its pattern: 0 if all are alike.",
        ),
        Word(
            "Sharpness",
            r"\frac{\sqrt n - \lVert M \rVert_1 / \lVert M \rVert_2}{\sqrt n - 1}",
            "Hoyer's sparsity of the n cells: 0 for a flat map, 1 for a single cell.",
        ),
        Word(
            "Overlap",
            r"\sum_{y,x} \min\!\left(\tfrac{A}{\sum A}, \tfrac{B}{\sum B}\right)",
            "The evidence that two maps put into the same cells, 0 to 1.",
        ),
    ),
    "Mistakes": (
        Word(
            "Cells to undo k*",
            r"\begin{gathered} \min \{ k : \textstyle\sum D \le \sum_{k\,\text{largest}} D \} \\"
            r" D = f_{\hat y} - f_y \end{gathered}",
            "Fewest cells whose removal from both maps undoes a mistake between the two classes. A third may win then.",
        ),
        Word(
            "Persistence",
            r"\text{epochs} \times \overline{P_{\hat y}} \times \text{agreement}",
            "Length of the last run of the same wrong prediction, its mean confidence, the share of variants that agree.",
        ),
        Word(
            "Change of a score",
            r"\Delta S_k = \tfrac{1}{HW} \sum_{y,x} (f_k^{\,b} - f_k^{\,a})",
            "Between two epochs, variants or runs a and b: exact, cell by cell; warm cells gained, cold ones lost.",
        ),
    ),
    "Learning": (
        Word(
            "Formation",
            r"\min \{ e : \cos(f_k^{\,e'}, f_k^{\,\mathrm{last}}) \ge 0.9 \ \ \forall e' \ge e \}",
            "The first epoch from which a map, or a class's pattern, keeps the form that it ends with.",
        ),
        Word(
            "Settling",
            r"\min \{ e : \hat y^{\,e'} = \hat y^{\,\mathrm{last}} \ \ \forall e' \ge e \}",
            "The first epoch from which the prediction never changes again, right or wrong.",
        ),
        Word(
            "Forgotten, flip-flopping",
            r"\#\{ e : \hat y^{\,e} = y,\ \hat y^{\,e+1} \ne y \}",
            "Forgotten: right once, wrong at the end. Flip-flopping: right at the end, forgotten three times or more.",
        ),
    ),
    "Perturbations": (
        Word(
            "Salt and pepper (Eq. 12)",
            r"M = \mathrm{round}(\lambda H W C)",
            "Channel values set to 0 or 255, half each, drawn once per image.",
        ),
        Word(
            "Flip rate",
            r"\mathrm{mean}\,[\hat y^{\,v} \ne \hat y^{\,\mathrm{clean}}]",
            "The share of images that get another prediction under variant v than clean, whichever is right.",
        ),
        Word(
            "Moved evidence, lucky",
            r"\cos(f_{\hat y}^{\,\mathrm{clean}}, f_{\hat y}^{\,v}) < 0.5",
            "The clean prediction's map is another one under the variant. Lucky: both predictions are right nevertheless.",
        ),
        Word(
            "Fingerprint of a class",
            r"\mathrm{mean}_{x \in c}\ (S_y^{\,\mathrm{clean}} - S_y^{\,v}) \,/\, \sigma",
            "How much of its score a class loses under each variant, in standard deviations: what it lives on.",
        ),
    ),
    "Trust": (
        Word(
            "ECE",
            r"\sum_b \frac{n_b}{N} \lvert \mathrm{acc}_b - \mathrm{conf}_b \rvert",
            "Expected calibration error over bins b: how far the confidence is from the share of correct predictions.",
        ),
        Word(
            "NLL",
            r"\mathrm{mean}\,(-\ln P_y)",
            "Negative log-likelihood of the true class, in nats per image: punishes sure mistakes most.",
        ),
        Word(
            "AUROC",
            r"P(s_{\text{right}} > s_{\text{wrong}})",
            "How well a score s tells right from wrong predictions: 0.5 is a coin, 1 perfect.",
        ),
        Word(
            "FPR95",
            r"P(s_{\text{wrong}} \ge t),\ P(s_{\text{right}} \ge t) = 0.95",
            "The wrong predictions let through where 95 % of the correct ones are accepted: less is better.",
        ),
        Word(
            "Risk and coverage, AURC",
            r"\mathrm{AURC} = \tfrac1N \sum_n \mathrm{risk}(n/N)",
            "Risk: wrong predictions among the share accepted. AURC: its mean over all shares. E-AURC: what a perfect "
            "order would have saved of it.",
        ),
        Word(
            "AUGRC",
            r"(1 - \mathrm{AUROC})\, a (1 - a) + \tfrac12 (1 - a)^2",
            "Area under the chance that a prediction is accepted and wrong, at accuracy a: less is better.",
        ),
        Word(
            "Wilson interval",
            r"\frac{k + z^2/2 \pm z \sqrt{k (1 - k/n) + z^2/4}}{n + z^2}",
            "Where a share lies with 95 % confidence (z = 1.96) if it was k of n images.",
        ),
    ),
}
