"""How to read each page, in a few sentences, and a tour of five steps through the demo run."""

from __future__ import annotations

from collections.abc import Mapping

HOW_TO_READ: Mapping[str, str] = {
    "overview": "Accuracy is the share of the validation images whose most probable class is the true one. Each tile "
    "below shows a mistake: the image, the map of the predicted class and the map of the true class. The curves show "
    "where the chosen epoch stands among the others.",
    "findings": "Each card is a statement that was tested against chance, strongest first, with how large the effect "
    "is and how certain. Open a card's page to see the images behind it.",
    "patterns": "The pattern of a class is the mean of its images' maps for that class. Similar patterns stand close "
    "together when they are ordered by similarity. The strength of a pattern counts as much as its place.",
    "image": "A class's probability follows from the mean of its map alone, so bright cells are what speaks for the "
    "class. Further down, the page says how few cells would have to go for another class to win.",
    "gallery": "All images of one class with their maps, beside the class's pattern, which is the mean of these maps. "
    "According to Fig. 8 of the paper, all images of a class share one map; the similarity to the pattern says how far "
    "that holds. A line under an image is green where the prediction is correct.",
    "search": "Choose or paint a pattern, and the images whose maps are most similar to it follow, by cosine "
    "similarity: 1 is the same pattern at any brightness, 0 is nothing in common.",
    "map": "Each point is an image, and neighbours have similar maps. Draw around some points to see their images, or "
    "click one. A point of another colour among its neighbours has a map that does not fit its class: often a mistake, "
    "sometimes a wrong label. Images can be marked beside the map.",
    "compare": "Two states side by side, each an epoch under a variant, of one run or of two. Warm cells gained from "
    "the first state to the second, cold cells lost.",
    "failures": "Wrong predictions only. Beside each image: the map of the prediction, then the map of the true class. "
    "Drag over the histogram to narrow the confidence; mistakes at high confidence are the most surprising, and "
    "sometimes the label is what is wrong.",
    "confusion": "A row is a true class, a column a prediction, and a cell counts the images. The diagonal holds the "
    "correct ones. A click on a cell shows its images beside the matrix, with the map of the prediction, then the map "
    "of the true class.",
    "robustness": "Each variant is the same images under one perturbation, so every change of a prediction or of a map "
    "is caused by it. Consistency compares a map with that of the clean image: 1 is unchanged.",
    "learning": "A class is learned once most of its images are predicted correctly, and its pattern has formed once "
    "it stays similar to the last epoch's. The two need not happen at the same time.",
    "training_set": "What the network made of each of its training images, epoch by epoch. Images that it keeps "
    "predicting as another class, surely and steadily, may carry a wrong label; images that it learns and forgets "
    "again are hard.",
    "trust": "In a calibrated network, predictions of confidence 0.8 are correct in 80 % of the cases: points on the "
    "diagonal. Below it, the network is too sure. The curves further down compare scores that are meant to detect "
    "errors.",
    "human": "Guess the class of images before the network's prediction is shown. Where people fail as well, the image "
    "is hard or its label wrong; where they do not, the network has missed something that can be seen.",
    "live": "Your own image, prepared as the run prepared its images, through one of its checkpoints. Nothing that you "
    "upload is kept.",
    "about": "Where the numbers come from: the network, the data and the files, every measure with its equation, and "
    "how to cite.",
}
# Page and sentence.
TOUR: tuple[tuple[str, str], ...] = (
    ("overview", "How good is the network, and which mistakes stand out?"),
    ("failures", "Look at the mistakes it was most sure of; click one for its maps, epochs and variants."),
    ("confusion", "Which two classes are confused most? Click their cell."),
    ("patterns", "Every class has a pattern of its own. When did it form?"),
    ("trust", "Is the confidence worth anything, and does the map locate the object?"),
)
TOUR_RUN = "demo"
