"""The figures that the paper and its author's code report, to stand beside ours.

Source: X. Zhang, "Visualization of encoder-decoder structure of Deep Convolutional Neural Network", Table 1, and the
accuracies listed in its author's repository (zxh009123/visualization-DCNNs-CSE261-W19-UCSC).
"""

from __future__ import annotations

TABLE_1 = (  # model, top-1, top-5, of 1
    ("ResNet-18 fine-tuned on Tiny ImageNet (the paper's baseline)", 0.5280, 0.7331),
    ("the paper's network, 80 epochs", 0.5378, 0.6109),
    ("ResNet-18 on ImageNet, 224 x 224", 0.6976, 0.8908),
)
PROPOSED_TOP1, PROPOSED_TOP5 = TABLE_1[1][1:]
VALIDATION_TOP1 = {  # epoch -> top-1, as the author's repository lists them
    1: 0.0486,
    2: 0.0934,
    3: 0.1198,
    4: 0.1464,
    5: 0.1710,
    10: 0.2632,
    15: 0.3572,
    20: 0.4196,
    25: 0.4538,
    36: 0.5014,
    46: 0.5212,
    60: 0.5318,
    70: 0.5378,
    80: 0.5360,
}
VALIDATION_IMAGES = "probably 5,000 (its accuracies are multiples of 1/5,000)"
LEARNED = {"school bus": 5, "sock": 10, "brown bear": 30}  # Sec. 5.1: by which epoch the map has its form
MACHINE = "one K80, about 12 hours"
