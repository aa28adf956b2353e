"""The first phase: sketches of how many directions, and where there is none."""

from ....errors import InputError
from ....mappings.spec import FirstPhase, IndexSpec, Strategy
from ....models.model import HashModel
from ....models.sketch import HELD, NEAREST

#: Directions are enough whose window, among the training data, is no wider.
_WIDEST = 32
#: Fewer training vectors say nothing of how many directions an index needs.
_FEWEST = 2_000
#: Fewer dimensions leave nothing to save: what any document costs is more than its vector.
_FEWEST_DIMS = 64
#: Of what may be missing the part that a window may leave out.
LEFT_OUT = 0.1


def directions_for(model: HashModel, strategy: Strategy, wanted: FirstPhase) -> int:
    """Directions of the sketches of a new index; 0 for none.

    Args:
        model: the index's.
        strategy: of the index; scripts have no first phase by sketches.
        wanted: "none", "projection", or "auto" where directions are found that narrow enough.

    Raises:
        InputError: "projection" where there can be none.
    """
    windows = model.manifest.sketch_windows
    if wanted == "none":
        return 0
    if wanted == "projection":
        if not windows:
            raise InputError(
                "--first-phase projection: the model is from before there were sketches, or was "
                "trained on one vector; train it again"
            )
        if strategy != "native":
            raise InputError(
                f"--first-phase projection: strategy {strategy} scores by scripts, which have no "
                f"first phase by sketches; take --strategy native"
            )
    elif _obstacle(model, strategy) is not None:
        return 0
    return next((n for n, window in windows if window <= _WIDEST), windows[-1][0])


def _obstacle(model: HashModel, strategy: Strategy) -> str | None:
    """Why an index is to have no first phase unless it is asked for; None where it is."""
    windows, n = model.manifest.sketch_windows, model.manifest.training.n
    if not windows:
        return "its model has no sketches"
    if strategy != "native":
        return f"strategy {strategy} scores by scripts"
    if n < _FEWEST:
        return f"the model was trained on {n:,} vectors, which say too little"
    if model.dims < _FEWEST_DIMS:
        return f"{model.dims} dimensions are few"
    if all(window > _WIDEST for _, window in windows):
        return f"of {windows[-1][0]} directions the best {windows[-1][1]:,} hold the nearest"
    return None


def first_phase_in_words(spec: IndexSpec, model: HashModel) -> str:
    """Whether there is one, and why."""
    if spec.sketch:
        window = dict(model.manifest.sketch_windows)[spec.sketch]
        return (
            f"first phase by {spec.sketch} directions (of its training data the best {window} by "
            f"them hold {HELD:.1%} of the {NEAREST} nearest)"
        )
    return f"no first phase ({_obstacle(model, spec.strategy) or 'none was asked for'})"
