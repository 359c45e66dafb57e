"""What do LightCNN's channels bring, and does their doubling from block to block?

We expect half the channels to lose a few tenths of a point and twice the channels to win one or two. A
flat profile (the same channels in every block) at the same budget spends more on large early maps; we
expect no clear difference, and a falling one to lose.

python -m studies.width
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
STUDY = Ablation(
    name="width",
    baseline=Arm("LightCNN, 8-16-32", BASELINE),
    variants=(
        Arm("half the channels", template((4, 8, 16), "gap", TASK)),
        Arm("twice the channels", template((16, 32, 64), "gap", TASK)),
        Arm(
            "flat profile, same budget",
            at_budget(template((16, 16, 16), "gap", TASK), num_parameters(BASELINE)),
        ),
        Arm(
            "falling profile, same budget",
            at_budget(template((32, 16, 8), "gap", TASK), num_parameters(BASELINE)),
        ),
    ),
    recipe=FAST,
    num_seeds=10,
)

if __name__ == "__main__":
    sys.exit(main(STUDY, __doc__))
