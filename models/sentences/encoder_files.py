"""What lies beside an encoder's network, in the layout of `sentence-transformers`."""

from pathlib import Path
from typing import Any

import orjson

from ...errors import ArtifactError

NETWORK, TOKENIZER = "model.onnx", "tokenizer.json"
_TELLS = ".md"
_LENGTH, _POOLING = "sentence_bert_config.json", Path("1_Pooling", "config.json")
#: Where a folder does not say how long a text may be: what the encoders of this kind take.
_MOST_TOKENS = 256
_OLD_MODE = "pooling_mode_"


def is_deciding(file: Path) -> bool:
    """Whether an encoder's vectors may depend on a file of its folder.

    Weights lie in files of any name beside a network: what only tells of it is left out alone.
    """
    return file.is_file() and not file.name.startswith(".") and file.suffix != _TELLS


def read_settings(file: Path) -> dict[str, Any]:
    """An object of JSON.

    Raises:
        ArtifactError: no such file, or something else in it.
    """
    try:
        settings = orjson.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{file}: cannot be read ({error})") from error
    if not isinstance(settings, dict):
        raise ArtifactError(f"{file}: expected an object, got {type(settings).__name__}")
    return settings


def read_most_tokens(folder: Path) -> int:
    """How many tokens of a text the encoder looks at, first and last mark included.

    Raises:
        ArtifactError: the folder says something that is no such number.
    """
    file = folder / _LENGTH
    if not file.is_file():
        return _MOST_TOKENS
    length = read_settings(file).get("max_seq_length", _MOST_TOKENS)
    if type(length) is not int or length < 3:  # both marks and a token
        raise ArtifactError(f"{file}: max_seq_length: expected an integer from 3, got {length!r}")
    return length


def check_pooling(folder: Path) -> None:
    """Refuse an encoder that was trained with another pooling than the mean.

    Raises:
        ArtifactError: the folder says so. Where it says nothing, the mean is what most have.
    """
    file = folder / _POOLING
    if not file.is_file():
        return
    settings = read_settings(file)
    named = settings.get("pooling_mode")  # as newer releases write it
    modes = [named] if isinstance(named, str) else list(named or [])
    modes += [
        key.removeprefix(_OLD_MODE).removesuffix("_tokens").removesuffix("_token")
        for key, value in settings.items()
        if key.startswith(_OLD_MODE) and value is True
    ]
    if modes not in ([], ["mean"]):
        raise ArtifactError(
            f"{file}: expected the pooling 'mean', got {', '.join(map(str, modes))}; export the "
            f"encoder with its pooling, so that it has an output 'sentence_embedding'"
        )
