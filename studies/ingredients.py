"""What does each ingredient of a small separable network bring?

Separable blocks, two to a stage, without padding, with batch norm and LeakyReLU, are far ahead of LightCNN's
plain template at equal size. Each arm takes one of these away, the last one all; where that changes the
number of parameters, all widths are scaled until it is the same again. We expect separable blocks and batch
norm to bring most, LeakyReLU and the choice of pooling over strides little.

python -m studies.ingredients 690 (or 2126, 6022: the parameters)
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from lightcnn.architecture import Architecture, parse
from lightcnn.block import Block
from lightcnn.cost import num_parameters
from lightcnn.data import DATASETS
from lightcnn.designs import LIGHTCNN
from lightcnn.training import FAST
from search import ablation_command
from search.ablation import Ablation, at_budget
from search.command import Parser
from search.evaluation import Arm

TASK = DATASETS["mnist"].task
BASELINES = {  # by their numbers of parameters
    "690": "4vbln-6svbl-8svbln-8svblp-pool2",
    "2126": "8vbln-10svbl-16svbln-16svbl-18sbln-20svbl-gap",
    "6022": "12vbln-16svbl-26svbln-30svbl-38sbln-44svbl-gap",
}


def changed(network: Architecture, change: Callable[[Block], Block]) -> Architecture:
    """`network` with each of its blocks changed."""
    return replace(network, blocks=tuple(map(change, network.blocks)))


def strided(block: Block) -> Block:
    """`block` with stride 2 where it has max pooling."""
    return replace(block, max_pool=False, stride=2) if block.max_pool else block


def ablation(baseline: Architecture) -> Ablation:
    """The ablation of `baseline`, whose stages have two blocks each."""
    blocks, budget = baseline.blocks, num_parameters(baseline)
    head = "flatten" if baseline.head == "gap" else "GAP"
    without = {
        "no batch norm": changed(baseline, lambda block: replace(block, batch_norm=False)),
        "ReLU": changed(baseline, lambda block: replace(block, leaky=False)),
        "padding": changed(baseline, lambda block: replace(block, padded=True)),
        "plain convolutions": changed(baseline, lambda block: replace(block, separable=False)),
        "strides, no pooling": changed(baseline, strided),
        # The first block stays plain: separable, it would see the image through a single filter.
        "one block a stage": replace(baseline, blocks=(replace(blocks[1], separable=False), *blocks[3::2])),
        "the same width everywhere": changed(
            baseline, lambda block: replace(block, channels=blocks[-1].channels)
        ),
        f"head: {head}": replace(baseline, grid=baseline.map_side if head == "flatten" else 1),
        "none of it: LightCNN's template": parse(LIGHTCNN, TASK),
    }
    return Ablation(
        name=f"ingredients-{budget}",
        baseline=Arm("all ingredients", baseline),
        variants=tuple(
            Arm(name, it if num_parameters(it) == budget else at_budget(it, budget))
            for name, it in without.items()
        ),
        recipe=replace(FAST, epochs=30),
        num_seeds=5,
    )


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    program = "python -m studies.ingredients"
    parser = Parser(program, (__doc__ or "").partition("\n")[0])
    parser.add_argument("parameters", choices=BASELINES, help="of the network that is ablated")
    size = parser.parse_args(argv[:1]).parameters
    return ablation_command.main(
        ablation(parse(BASELINES[size], TASK)), __doc__, argv=argv[1:], program=f"{program} {size}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
