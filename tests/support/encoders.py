"""A tiny encoder in a folder: each word has a vector of its own."""

import numpy as np
from onnx import TensorProto
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from meta4.models.graphs.onnx_graph import OnnxGraph

WORDS = ("[PAD]", "[UNK]", "berlin", "paris", "germany", "france", "is", "in")
TABLE = np.random.default_rng(5).normal(size=(len(WORDS), 6)).astype(np.float32)
#: What the second segment adds, which one text never has.
SEGMENTS = np.array([[0.5] * 6, [90] * 6], dtype=np.float32)
IDS, MASK, KINDS = "input_ids", "attention_mask", "token_type_ids"


def write_tokenizer(folder):
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_padding(length=9)  # as published files have it; nothing here obeys it
    tokenizer.enable_truncation(2)
    tokenizer.save(str(folder / "tokenizer.json"))


def write_encoder(
    folder,
    *,
    inputs=(IDS, MASK),
    output="last_hidden_state",
    element_type=TensorProto.INT64,
    table=TABLE,
):
    """Make the folder; gives it."""
    folder.mkdir(exist_ok=True)
    graph = OnnxGraph()
    for name in inputs:
        graph.input(name, element_type, (None, None))
    flow = graph.add("Gather", [graph.const(table), inputs[0]])
    if KINDS in inputs:
        flow = graph.add("Add", [flow, graph.add("Gather", [graph.const(SEGMENTS), KINDS])])
    shape = (None, None, table.shape[1])
    if output == "sentence_embedding":  # the sum, fillers too, and of any length
        flow = graph.add("ReduceSum", [flow, graph.const([1])], keepdims=0)
        shape = (None, table.shape[1])
    graph.output(output, flow, TensorProto.FLOAT, shape)
    (folder / "model.onnx").write_bytes(graph.serialise())
    write_tokenizer(folder)
    return folder


def mean_of_words(text, table=TABLE):
    """What the encoder is to give for a text of its words: (6,) float64."""
    mean = np.mean([table[WORDS.index(word)] for word in text.split()], axis=0, dtype=np.float64)
    return mean / np.linalg.norm(mean)
