"""The glossary: each measure of the pages with its equation. `store.metrics` holds the definitions."""

from __future__ import annotations

from typing import NamedTuple


class Term(NamedTuple):
    """A term of the pages: its name, its equation in LaTeX, its meaning in a sentence or two."""

    name: str
    equation: str
    meaning: str


GLOSSARY: dict[str, tuple[Term, ...]] = {
    "The network and its prediction": (
        Term(
            "Class map f_k",
            r"f_k \in \mathbb{R}^{H \times W}",
            "The last layer's map for class k. Each class has its own map; the layer does not mix them.",
        ),
        Term(
            "Logit S_k (Eq. 8)",
            r"S_k = \frac{1}{HW} \sum_{y,x} f_k(y, x)",
            "The mean of the class map: nothing else enters the prediction. Maps that can be negative are recorded "
            "relative to the mean map of all classes, which changes no probability.",
        ),
        Term(
            "Probability P_k (Eq. 4)",
            r"P_k = \frac{e^{S_k}}{\sum_j e^{S_j}}",
            "The softmax of the logits. The class with the largest probability is the prediction; that probability is "
            "the confidence.",
        ),
        Term(
            "Loss (Eq. 9)", r"L = -\sum_k T_k \log P_k", "Cross-entropy with the true class T: what training minimises."
        ),
        Term(
            "Margin",
            r"P_{(1)} - P_{(2)}",
            "How far the prediction is ahead of the second class. Near 0, it was a close call.",
        ),
        Term(
            "Rank of the true class, top-5",
            r"\#\{k : P_k > P_y\} + 1 \le 5",
            "Rank 1 is a correct prediction. Top-5 accuracy counts the images whose true class has rank 5 or better.",
        ),
    ),
    "Maps and patterns": (
        Term(
            "Display (Eq. 10)",
            r"f_k^{\mathrm{norm}} = f_k / \max f_k",
            "Divided by its own maximum, a map shows its pattern but not its strength. The common scale shows both.",
        ),
        Term(
            "Class pattern",
            r"\bar f_k = \mathrm{mean}_{x \in k} f_k(x)",
            "The mean over a class's images of the map for that class.",
        ),
        Term(
            "Cosine similarity",
            r"\cos(a, b) = \frac{a \cdot b}{\lVert a \rVert \lVert b \rVert}",
            "Compares two maps as vectors: 1 for the same pattern at any strength, 0 for nothing in common.",
        ),
        Term(
            "Spread",
            r"\mathrm{mean}_{x \in k}\, 1 - \cos(f_k(x), \bar f_k)",
            "How much the maps of a class vary around its pattern: 0 if all are alike.",
        ),
        Term(
            "Sharpness",
            r"\frac{\sqrt n - \lVert M \rVert_1 / \lVert M \rVert_2}{\sqrt n - 1}",
            "How concentrated a map of n cells is (Hoyer's sparsity): 0 for a flat map, 1 for a single cell.",
        ),
        Term(
            "Overlap",
            r"\sum_{y,x} \min\!\left(\tfrac{A}{\sum A}, \tfrac{B}{\sum B}\right)",
            "The share of the evidence that two maps put into the same cells, 0 to 1.",
        ),
    ),
    "Mistakes": (
        Term(
            "Minimal correction k*",
            r"\begin{gathered} \min \{ k : \textstyle\sum D \le \sum_{k\,\text{largest}} D \} \\"
            r" D = f_{\hat y} - f_y \end{gathered}",
            "The fewest cells to remove from both maps so that the true class draws level with the prediction. A third "
            "class may win then.",
        ),
        Term(
            "Persistence",
            r"\text{epochs} \times \overline{P_{\hat y}} \times \text{agreement}",
            "For how many epochs the same wrong prediction has lasted, times its mean confidence, times the share of "
            "variants that agree.",
        ),
        Term(
            "Change of a logit",
            r"\Delta S_k = \tfrac{1}{HW} \sum_{y,x} (f_k^{\,b} - f_k^{\,a})",
            "Between two epochs, variants or runs a and b: exact, cell by cell. Warm cells gained, cold cells lost.",
        ),
    ),
    "Learning": (
        Term(
            "Formation",
            r"\min \{ e : \cos(f_k^{\,e'}, f_k^{\,\mathrm{last}}) \ge \tau \ \ \forall e' \ge e \}",
            "The first epoch from which a map, or a class pattern, stays as similar to its final form as the maps of "
            "two images of a class are (τ: their mean cosine similarity). Much of it comes from the random seed.",
        ),
        Term(
            "Stabilisation",
            r"\min \{ e : \hat y^{\,e'} = \hat y^{\,\mathrm{last}} \ \ \forall e' \ge e \}",
            "The first epoch from which the prediction never changes again, correct or wrong.",
        ),
        Term(
            "Forgotten, flip-flopping",
            r"\#\{ e : \hat y^{\,e} = y,\ \hat y^{\,e+1} \ne y \}",
            "Forgotten: correct once, wrong at the end. Flip-flopping: correct at the end, after three or more lapses.",
        ),
    ),
    "Perturbations": (
        Term(
            "Salt and pepper (Eq. 12)",
            r"M = \mathrm{round}(\lambda H W C)",
            "M channel values are set to 0 or 255, half each, drawn once per image.",
        ),
        Term(
            "Flip rate",
            r"\mathrm{mean}\,[\hat y^{\,v} \ne \hat y^{\,\mathrm{clean}}]",
            "The share of images whose prediction under variant v differs from the clean one, whichever is correct.",
        ),
        Term(
            "Changed map, correct for a different reason",
            r"\cos(f_{\hat y}^{\,\mathrm{clean}}, f_{\hat y}^{\,v}) < 0.5",
            "The clean prediction's map changes under the variant. If both predictions are correct nevertheless, the "
            "second is correct for a different reason.",
        ),
        Term(
            "Cue profile of a class",
            r"\mathrm{mean}_{x \in c}\ (S_y^{\,\mathrm{clean}} - S_y^{\,v}) \,/\, \sigma",
            "How much of its logit a class loses under each variant, in standard deviations: which cues it relies on.",
        ),
    ),
    "Trust": (
        Term(
            "ECE",
            r"\sum_b \frac{n_b}{N} \lvert \mathrm{acc}_b - \mathrm{conf}_b \rvert",
            "Expected calibration error over bins b: the mean gap between confidence and accuracy.",
        ),
        Term(
            "NLL",
            r"\mathrm{mean}\,(-\ln P_y)",
            "Negative log-likelihood of the true class, in nats per image. Confident mistakes cost most.",
        ),
        Term(
            "AUROC",
            r"P(s_{\text{correct}} > s_{\text{wrong}})",
            "How well a confidence score s separates correct from wrong predictions: 0.5 is chance, 1 is perfect.",
        ),
        Term(
            "FPR95",
            r"P(s_{\text{wrong}} \ge t),\ P(s_{\text{correct}} \ge t) = 0.95",
            "The share of wrong predictions accepted by the threshold t that accepts 95 % of the correct ones: "
            "lower is better.",
        ),
        Term(
            "Risk and coverage, AURC",
            r"\mathrm{AURC} = \tfrac1N \sum_n \mathrm{risk}(n/N)",
            "Coverage: the share of predictions accepted. Risk: the share of those that are wrong. AURC is the mean "
            "risk over all coverages; E-AURC is AURC minus that of a perfect ranking.",
        ),
        Term(
            "AUGRC",
            r"(1 - \mathrm{AUROC})\, a (1 - a) + \tfrac12 (1 - a)^2",
            "Mean probability over all coverages that a prediction is accepted and wrong: lower is better.",
        ),
        Term(
            "Wilson interval",
            r"\frac{k + z^2/2 \pm z \sqrt{k (1 - k/n) + z^2/4}}{n + z^2}",
            "The 95 % confidence interval (z = 1.96) of a share that was measured as k of n images.",
        ),
    ),
}
