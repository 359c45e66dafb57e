"""What does global average pooling bring to LightCNN?

The paper puts its accuracy at so few parameters down to global average pooling (GAP): similar accuracy is
said to need more than 200,000 parameters without it. If so, GAP wins at the same parameter budget. At the
same channels, where flatten sees more of the last maps through three times the parameters and more, we
expect flatten to be about as accurate or better, and only the budget to tell them apart.

Found: GAP is not needed for the accuracy, it saves the parameters; removing it changes nothing that ten
seeds can see. At LightCNN's size it beats a hidden layer after flatten by 0.6 points and plain flatten by
0.1. But pooling less is better than pooling all: to 2x2, with channels narrowed to the same budget, it makes
0.84 errors in a hundred where LightCNN makes 1.10. This is the fast recipe with PyTorch's initial weights;
under the paper's own (`studies.paper_table`) flatten is ahead of GAP by 0.5 points.

python -m studies.gap_removal (40 minutes on 2 cores)
"""

import sys
from dataclasses import replace

from lightcnn.architecture import parse
from lightcnn.cost import num_parameters
from lightcnn.data import DATASETS
from lightcnn.designs import LIGHTCNN
from lightcnn.training import FAST
from search.ablation import Ablation, at_budget
from search.ablation_command import main
from search.evaluation import Arm

GAP = parse(LIGHTCNN, DATASETS["mnist"].task)
REMOVED = {
    "pooled to 2x2": replace(GAP, grid=2),
    "pooled to 4x4": replace(GAP, grid=4),
    "flatten": replace(GAP, grid=GAP.map_side),
    "flatten + 128": replace(GAP, grid=GAP.map_side, hidden=(128,)),
}
STUDY = Ablation(
    name="gap_removal",
    baseline=Arm("LightCNN with GAP", GAP),
    variants=(
        *(Arm(f"{name}, same channels", variant) for name, variant in REMOVED.items()),
        *(Arm(f"{name}, same budget", at_budget(v, num_parameters(GAP))) for name, v in REMOVED.items()),
    ),
    recipe=FAST,
    num_seeds=10,
)

if __name__ == "__main__":
    sys.exit(main(STUDY, __doc__))
