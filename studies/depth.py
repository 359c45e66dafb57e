"""Are three blocks the right depth for LightCNN?

Each pooling sees a wider field through fewer pixels. We expect two blocks to lose clearly (GAP over 14x14
maps that saw 8x8 pixels each), and a fourth block to win a little at the same budget. One block has no
partner at the budget: it would need 310 channels over the whole image.

python -m studies.depth
"""

import sys

from lightcnn.architecture import parse, template
from lightcnn.cost import num_parameters
from lightcnn.data import DATASETS
from lightcnn.designs import LIGHTCNN
from lightcnn.training import FAST
from search.ablation import Ablation, at_budget
from search.ablation_command import main
from search.evaluation import Arm

TASK = DATASETS["mnist"].task
BASELINE = parse(LIGHTCNN, TASK)
TWO, FOUR = template((8, 16), "gap", TASK), template((8, 16, 32, 32), "gap", TASK)
BUDGET = num_parameters(BASELINE)
STUDY = Ablation(
    name="depth",
    baseline=Arm("LightCNN, 3 blocks", BASELINE),
    variants=(
        Arm("1 block, same first channels", template((8,), "gap", TASK)),
        Arm("2 blocks, same first channels", TWO),
        Arm("4 blocks, same first channels", FOUR),
        Arm("2 blocks, same budget", at_budget(TWO, BUDGET)),
        Arm("4 blocks, same budget", at_budget(FOUR, BUDGET)),
    ),
    recipe=FAST,
    num_seeds=10,
)

if __name__ == "__main__":
    sys.exit(main(STUDY, __doc__))
