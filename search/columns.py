"""The columns of the tables that a study leaves: their names in the files, and what the page calls them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str  # in the file
    heading: str  # on the page
    kind: str  # of KINDS


COLUMNS = {
    column.name: column
    for column in (
        Column("trial", "trial", "count"),
        Column("name", "design", "text"),
        Column("arm", "arm", "text"),
        Column("state", "state", "state"),
        Column("architecture", "architecture", "text"),
        Column("num_parameters", "parameters", "count"),
        Column("paper_parameters", "paper's parameters", "count"),
        Column("num_macs", "MACs", "count"),
        Column("peak_activation_bytes", "peak activation bytes", "count"),
        Column("num_blocks", "blocks", "count"),
        Column("head", "head", "text"),
        Column("val_accuracy", "validation accuracy", "fraction"),
        Column("paper_accuracy", "paper's test accuracy", "fraction"),
        Column("val_loss", "validation loss", "number"),
        Column("num_seeds", "seeds", "count"),
        Column("num_dead", "runs that died", "count"),
        Column("test_accuracy_mean", "mean test accuracy", "fraction"),
        Column("test_accuracy_low", "95 % interval over seeds from", "limit"),
        Column("test_accuracy_high", "to", "limit"),
        Column("new_images_low", "95 % interval for new images from", "limit"),
        Column("new_images_high", "to       ", "limit"),
        Column("train_accuracy_mean", "mean training accuracy", "fraction"),
        Column("train_accuracy", "training accuracy", "fraction"),
        Column("test_accuracy", "test accuracy", "fraction"),
        Column("difference", "difference to the baseline", "points"),
        Column("difference_low", "its 95 % interval from", "points"),
        Column("difference_high", "to ", "points"),
        Column("p_holm", "p, Holm-corrected", "number"),
        Column("front_probability", "probability of being on the front", "number"),
        Column("joint_accuracy", "accuracy by all runs together", "fraction"),
        Column("on_front_after_retraining", "on the front after re-training", "flag"),
        Column("front_accuracy_low", "the front at this size, from", "fraction"),
        Column("front_accuracy_high", "to  ", "fraction"),
        Column("probability_better", "probability of being more accurate than the reference", "number"),
        Column("verdict", "beside the front", "verdict"),
        Column("beaten_probability", "probability that some candidate no larger is more accurate", "number"),
        Column("clearly_beaten_probability", "by more than 0.1 points", "number"),
        Column("accuracy_gap", "accuracy less that of the best candidate no larger", "points"),
        Column("accuracy_gap_low", "gap's 90 % range from", "points"),
        Column("accuracy_gap_high", "to   ", "points"),
        Column("challenger", "most accurate candidate no larger", "text"),
        Column("challenger_gap", "accuracy less that candidate's", "points"),
        Column("challenger_gap_low", "its 95 % interval from ", "points"),
        Column("challenger_gap_high", "to    ", "points"),
        Column("challenger_p", "p", "number"),
        Column("parameter_ratio", "parameters of the smallest as accurate over the design's", "ratio"),
        Column("parameter_ratio_low", "ratio's 90 % range from", "ratio"),
        Column("parameter_ratio_high", "to     ", "ratio"),
        Column("paid_ratio", "the same with 10 % more errors", "ratio"),
        Column("paid_ratio_low", "its 90 % range from", "ratio"),
        Column("paid_ratio_high", "to      ", "ratio"),
        Column("read_at", "when", "text"),
        Column("num_runs", "runs tested", "count"),
        Column("exported", "to measure an export of", "text"),  # empty: the study's own reading
        Column("epochs", "epochs", "count"),
        Column("spared_at", "exempted from stopping at epoch", "count"),
        Column("epoch", "epoch", "count"),
        Column("train_loss", "training loss", "number"),
        Column("seconds", "seconds", "number"),
        Column("ended_at", "ended at", "text"),
        Column("seed", "seed", "count"),
        Column("reason", "reason", "text"),
        Column("sampler", "sampler", "text"),
        Column("repetition", "repetition", "count"),
        Column("num_trials", "trials", "count"),
        Column("hypervolume", "hypervolume", "number"),
        Column("seconds_per_trial", "seconds a suggestion", "number"),
        Column("accuracy", "accuracy", "fraction"),
        Column("protocol", "how it was measured", "text"),
        Column("source", "source", "text"),
        Column("best_here", "this study's front at this size", "fraction"),
        Column("claim", "claim", "text"),
        Column("measured", "measured here", "text"),
    )
}
# What re-training adds: to each design and candidate, and to those that are placed beside the front.
LIMITS = "test_accuracy_low test_accuracy_high new_images_low new_images_high"
SEEDS = f"num_seeds num_dead test_accuracy_mean {LIMITS} train_accuracy_mean"
RETRAINED = [
    *SEEDS.split(),
    *("front_probability", "joint_accuracy", "on_front_after_retraining"),
    *("front_accuracy_low", "front_accuracy_high"),
]
GAPS = [
    *("verdict", "beaten_probability", "clearly_beaten_probability"),
    *("accuracy_gap", "accuracy_gap_low", "accuracy_gap_high"),
    *("challenger", "challenger_gap", "challenger_gap_low", "challenger_gap_high", "challenger_p"),
    *("parameter_ratio", "parameter_ratio_low", "parameter_ratio_high"),
    *("paid_ratio", "paid_ratio_low", "paid_ratio_high"),
]
PAPER = ["paper_parameters", "paper_accuracy"]  # empty where the data set is not the paper's
