"""What comes in is understood, or refused with the document: nothing is lost, nothing doubled."""

import base64
import datetime
import decimal
import json
import os
import uuid

import elasticsearch.helpers
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.inputs import VECTOR, SmallIndex
from support.words import FIELD

from meta4.adapter.catalog import read_field
from meta4.adapter.engines.place import Place
from meta4.adapter.manage.doctor import examine_index
from meta4.adapter.manage.heal import heal_index
from meta4.adapter.move.copy import adopt_index
from meta4.errors import InputError, RefusedError
from meta4.ingest.documents import Several, put_anew, put_at, remove_at, value_at, without
from meta4.ingest.files.ids import MetadataError, id_of
from meta4.ingest.files.new_embeddings import NewEmbeddings
from meta4.ingest.files.sources import read_documents, read_training
from meta4.ingest.json_values import JsonError, read_json, to_json, to_json_somehow
from meta4.models.embeddings import as_embedding, embedding_fault

pa = pytest.importorskip("pyarrow")
CASES = int(os.environ.get("META4_FUZZ", "25"))
fuzzed = settings(
    max_examples=CASES,
    deadline=None,
    derandomize="META4_FUZZ" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
server = pytest.mark.server
PACKED = elasticsearch.helpers.pack_dense_vector(VECTOR)


@pytest.fixture
def small(engine, index_name, tmp_path):
    """An index hashed by the client."""
    made = SmallIndex(engine, index_name, tmp_path)
    yield made
    made.drop()


@pytest.fixture
def make_small(engine, index_name, tmp_path):
    """`small` with another field or hashing."""
    made = []

    def make(**options):
        made.append(SmallIndex(engine, f"{index_name}-{len(made)}", tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        one.drop()


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def vectors_of(sources):
    return {identity: pytest.approx(source[FIELD]) for identity, source in sources.items()}


# --- 15: the forms that the engines' own clients write ------------------------------------------


@server
def test_case_15_ndjson_in_the_form_of_bulk(small):
    rows = []
    for i in range(4):
        rows += [{"index": {"_id": f"w{i}"}}, {FIELD: VECTOR, "n": i}]
    loaded = small.load_rows(*rows)
    assert (loaded.code, loaded.report["indexed"]) == (0, 4)
    assert {k: v["n"] for k, v in small.sources().items()} == {f"w{i}": i for i in range(4)}


@server
def test_every_action_of_a_bulk_request(small):
    small.load_rows({"_id": "there", "n": 0})
    loaded = small.load_text(
        lines(
            {"index": {"_id": "a", "routing": "r", "_index": small.name}},
            {FIELD: VECTOR, "n": 1},
            {"create": {"_id": "b"}},
            {"n": 2},
            {"create": {"_id": "there"}},
            {"n": 3},
            {"update": {"_id": "there"}},
            {"doc": {"n": 4}},
            {"delete": {"_id": "there"}},
            {"_id": "plain", "n": 5},
            {"index": {"_id": "c", "_index": "another"}},
            {"n": 6},
            {"index": {"_id": "d", "pipeline": "mine"}},
            {"n": 7},
            {"index": {"_id": "e"}},
        )
        + "\n"
        + lines({"n": 8}, {"index": {"_id": "f"}}, {"index": {"_id": "g"}}, {"n": 9})
        + '{"index": {"_id": "h"}}\n{broken\n{"index": {"_id": "i"}}'
    )
    assert loaded.code == 2
    sources = small.sources()
    assert {k: v["n"] for k, v in sources.items()} == {
        "there": 0, "a": 1, "b": 2, "plain": 5, "e": 8, "g": 9,
    }  # fmt: skip
    assert loaded.report["left"] == 1
    texts = [letter["text"].split("\n") for letter in loaded.letters]
    assert [json.loads(text[0]) for text in texts] == [
        {"update": {"_id": "there"}},
        {"delete": {"_id": "there"}},
        {"index": {"_id": "c", "_index": "another"}},
        {"index": {"_id": "d", "pipeline": "mine"}},
        {"index": {"_id": "f"}},
        {"index": {"_id": "h"}},
        {"index": {"_id": "i"}},
    ]
    assert [len(text) for text in texts] == [2, 1, 2, 2, 1, 2, 1]
    reasons = [letter["reason"] for letter in loaded.letters]
    for reason, word in zip(
        reasons,
        ["update", "deletion", "another index, 'another'", "'pipeline'", "without the document",
         "not JSON", "without the document"],
        strict=True,
    ):  # fmt: skip
        assert word in reason
    (hit,) = small.engine.search(small.name, {"query": {"term": {"n": 1}}})["hits"]["hits"]
    assert hit["_routing"] == "r"
    again = small.replay()
    assert (again.report["indexed"], again.report["refused"]) == (0, 7)
    assert [letter["text"].split("\n") for letter in again.letters] == texts
    corrected = again.letters[2] | {"text": '{"index": {"_id": "c"}}\n{"n": 6}'}
    small.letters.write_text(json.dumps(corrected))
    assert small.replay().code == 0
    assert small.sources()["c"] == {"n": 6}


@server
def test_a_letter_keeps_routing_and_creation(small):
    small.load_rows({"_id": "b", "n": 0})
    bad = {FIELD: [1.0], "n": 1}
    loaded = small.load_rows(
        {"index": {"_id": "a", "routing": 7}}, bad, {"create": {"_id": "b"}}, bad
    )
    assert [letter.get("_routing") for letter in loaded.letters] == ["7", None]
    for letter in loaded.letters:
        letter["document"].pop(FIELD)
    small.letters.write_text(lines(*loaded.letters))
    replayed = small.replay()
    assert (replayed.code, replayed.report["indexed"], replayed.report["left"]) == (0, 1, 1)
    assert {k: v["n"] for k, v in small.sources().items()} == {"a": 1, "b": 0}
    (hit,) = small.engine.search(small.name, {"query": {"term": {"n": 1}}})["hits"]["hits"]
    assert hit["_routing"] == "7"


@server
def test_hits_and_actions_of_the_helpers(small):
    loaded = small.load_rows(
        {"_index": "elsewhere", "_id": "a", "_score": 1.0, "_source": {FIELD: VECTOR}},
        {"_index": "elsewhere", "_id": "b", "_routing": "r", "_source": {"n": 1}, "sort": [1]},
        {"_op_type": "create", "_index": small.name, "_id": "c", "_source": {"n": 2}},
        {"_index": small.name, "_id": "d", "_routing": "r", "n": 3},
        {"_index": "elsewhere", "_id": "e", "n": 4},
        {"_op_type": "delete", "_id": "f"},
    )
    assert set(small.sources()) == {"a", "b", "c", "d"}
    assert loaded.report["without_vector"] == 3
    assert ["another index" in loaded.letters[0]["reason"], loaded.letters[0]["document"]["_id"]]
    assert "'delete'" in loaded.letters[1]["reason"]
    assert small.replay().letters[0]["document"]["_id"] == "e"


@pytest.mark.parametrize(
    "plain",
    [
        {"index": {"_id": "a", "title": "x"}},
        {"index": 3},
        {"create": [], "n": 1},
        {"index": {}, "n": 1},
    ],
)
def test_a_document_that_has_the_name_of_an_action(tmp_path, plain):
    path = tmp_path / "a.ndjson"
    path.write_text(lines(plain, {"_id": "b"}))
    read = list(read_documents(path, field=FIELD))
    assert [document.source for document in read] == [plain, {}]


# --- 16: byte order marks -----------------------------------------------------------------------


@server
def test_case_16_a_byte_order_mark(small):
    loaded = small.load_text(b"\xef\xbb\xbf" + lines({"_id": "a"}, {"_id": "b"}).encode())
    assert (loaded.code, loaded.report["indexed"]) == (0, 2)
    np.save(small.folder / "v.npy", np.array([VECTOR, VECTOR], np.float32))
    (small.folder / "ids.txt").write_bytes("\ufeffc\r\nd\u2028e\r\n".encode())
    loaded = small.load(small.folder / "v.npy", ids=small.folder / "ids.txt")
    assert loaded.code == 0
    assert set(small.sources()) == {"a", "b", "c", "d\u2028e"}
    small.letters.write_bytes(b"\xef\xbb\xbf" + lines({"_id": "f", "document": {}}).encode())
    assert small.replay().code == 0
    assert "f" in small.sources()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "utf-32-be"])
def test_another_encoding_is_named(tmp_path, encoding):
    text = json.dumps({FIELD: VECTOR, "label": "x"})
    path = tmp_path / "a.ndjson"
    path.write_bytes(f"\ufeff{text}".encode(encoding.removesuffix("-be") + "-be"))
    named = encoding[:6].upper()
    with pytest.raises(InputError, match=f"expected UTF-8, got {named}"):
        list(read_documents(path, field=FIELD))
    with pytest.raises(InputError, match=named):
        read_training(path, FIELD)
    np.save(tmp_path / "v.npy", [VECTOR])
    with pytest.raises(InputError, match=named):
        list(read_documents(tmp_path / "v.npy", field=FIELD, ids=path))
    with pytest.raises(InputError, match=named):
        read_training(tmp_path / "v.npy", FIELD, str(path))


def test_labels_and_query_files_behind_a_byte_order_mark(tmp_path):
    np.save(tmp_path / "v.npy", [VECTOR, VECTOR])
    (tmp_path / "labels.txt").write_bytes(b"\xef\xbb\xbfa\nb\n")
    _, labels = read_training(tmp_path / "v.npy", FIELD, str(tmp_path / "labels.txt"))
    assert labels.tolist() == ["a", "b"]
    (tmp_path / "q.ndjson").write_bytes(b"\xef\xbb\xbf" + lines({FIELD: VECTOR}).encode())
    assert read_training(tmp_path / "q.ndjson", FIELD)[0].tolist() == [VECTOR]


# --- 17: ids ------------------------------------------------------------------------------------

OID = "573a1390f29313caabcd42e8"


@server
def test_case_17_ids(small):
    loaded = small.load_rows({"_id": {"$oid": OID}, "n": 1}, {"_id": 42, "n": 2})
    assert loaded.code == 0
    table = pa.table({"_id": pa.array([b"a", "ü".encode()], pa.binary()), "n": [3, 4]})
    assert small.load_table(table).code == 0
    loaded = small.load_rows({"_id": {"$oid": OID}, "sku": "s", "n": 5}, id_field="sku")
    assert loaded.code == 0
    found = {k: v["n"] for k, v in small.sources().items()}
    assert found == {OID: 1, "42": 2, "a": 3, "ü": 4, "s": 5}


GOOD_IDS = {
    "text": ("a", "a"),
    "integer": (-7, "-7"),
    "large": (2**70, str(2**70)),
    "oid": ({"$oid": OID}, OID),
    "long": ({"$numberLong": "5"}, "5"),
    "bytes": (b"a", "a"),
    "uuid": (uuid.UUID(int=1), str(uuid.UUID(int=1))),
    "decimal": (decimal.Decimal("12345678901234567890123"), "12345678901234567890123"),
    "none": (None, None),
}
BAD_IDS = [1.0, True, [1], {}, {"$oid": 5}, {"a": "b"}, b"\xff", decimal.Decimal("1.5")]


@pytest.mark.parametrize("kind", GOOD_IDS)
def test_good_ids(kind):
    value, expected = GOOD_IDS[kind]
    assert id_of(value) == expected


@pytest.mark.parametrize("value", BAD_IDS, ids=repr)
def test_bad_ids(value):
    with pytest.raises(MetadataError, match="expected a text or an integer as its id"):
        id_of(value)


@server
def test_bad_ids_are_refused_with_the_document(small):
    bad = [
        {"_id": value, "n": 1}
        for value in BAD_IDS
        if not isinstance(value, bytes | decimal.Decimal)
    ]
    loaded = small.load_rows(
        *bad, {"_id": "", "n": 1}, {"_id": "\ud800", "n": 2}, {"_id": "x" * 513}
    )
    assert (loaded.code, loaded.report["indexed"]) == (2, 0)
    documents = [letter.get("document") for letter in loaded.letters]
    assert all(one in documents for one in bad)
    again = small.replay()
    assert (again.report["indexed"], again.report["refused"]) == (0, len(bad) + 3)
    fixed = [letter | {"_id": f"a{i}"} for i, letter in enumerate(again.letters)]
    for letter in fixed:
        letter.get("document", {}).pop("_id", None)
        letter.pop("text", None)
        letter.setdefault("document", {})
    small.letters.write_text(lines(*fixed))
    assert small.replay().code == 0
    assert len(small.sources()) == len(bad) + 3


# --- 18: options that do nothing ----------------------------------------------------------------


@server
def test_case_18_options_that_do_nothing(small):
    (small.folder / "ids.txt").write_text("a\n")
    loaded = small.load_rows({"n": 1}, ids=small.folder / "ids.txt")
    assert (loaded.code, loaded.letters, loaded.report) == (2, [], {})
    assert "--ids are those of the vectors of one .npy file, got 0" in loaded.said
    loaded = small.load_rows({"sku": "s", "n": 1}, {"n": 2}, id_field="skuu")
    assert (loaded.code, loaded.report["indexed"], len(loaded.letters)) == (2, 0, 2)
    assert [letter["document"] for letter in loaded.letters] == [{"sku": "s", "n": 1}, {"n": 2}]
    assert "'skuu'" in loaded.letters[0]["reason"]
    again = small.replay()
    assert (again.report["indexed"], "no id" in again.letters[0]["reason"]) == (0, True)
    assert not small.sources()


@server
def test_options_against_each_other(small):
    npy, rows = small.folder / "v.npy", small.folder / "rows.ndjson"
    np.save(npy, np.array([VECTOR], np.float32))
    rows.write_text(lines({"_id": "b"}))
    (small.folder / "ids.txt").write_text("a\n")
    for files, options, word in (
        ([npy, npy], {}, "given twice"),
        ([npy, small.folder / "none.ndjson"], {}, "no such file"),
        ([npy, small.folder / "ids.txt"], {}, "expected a file ending"),
        ([npy, rows], {"id_field": "x"}, "--id-field"),
        ([rows], {"checkpoint": rows}, "written while it is read"),
        ([rows], {"checkpoint": small.letters}, "or twice"),
    ):
        loaded = small.load(*files, **options)
        assert (loaded.code, loaded.report) == (2, {})
        assert word in loaded.said
    small.letters = rows
    assert "--replay" in small._run(rows, dead_letters=rows).said
    table = pa.table({"sku": ["a"], "n": [1]})
    small.letters = small.folder / "letters.ndjson"
    loaded = small.load_table(table, id_field="skuu")
    assert (loaded.code, loaded.report, "no column 'skuu'" in loaded.said) == (2, {}, True)
    assert not small.sources()
    assert small.load(npy, rows, ids=small.folder / "ids.txt").code == 0
    assert set(small.sources()) == {"a", "b"}


@server
def test_a_file_of_letters_is_read_whole_before_one_is_sent(small):
    small.letters.write_text(lines({"_id": "a", "document": {}}) + "nonsense\n")
    replayed = small.replay()
    assert (replayed.code, "line 2" in replayed.said) == (2, True)
    assert not small.sources()


# --- 19: every type of Arrow --------------------------------------------------------------------

NANO = 1_600_000_000_123_456_789
ARROW = {
    "null": (pa.array([None], pa.null()), None),
    "bool": (pa.array([True]), True),
    "int8": (pa.array([-5], pa.int8()), -5),
    "uint32": (pa.array([2**32 - 1], pa.uint32()), 2**32 - 1),
    "uint64": (pa.array([2**64 - 1], pa.uint64()), 2**64 - 1),
    "half": (pa.array([np.float16(1.5)], pa.float16()), 1.5),
    "float": (pa.array([0.5], pa.float32()), 0.5),
    "double": (pa.array([0.1]), 0.1),
    "decimal128": (pa.array([decimal.Decimal("19.99")], pa.decimal128(10, 2)), 19.99),
    "decimal256": (pa.array([decimal.Decimal("-0.5")], pa.decimal256(50, 2)), -0.5),
    "whole": (pa.array([decimal.Decimal(42)], pa.decimal128(38, 0)), 42),
    "string": (pa.array(["a\u2028ü"]), "a\u2028ü"),
    "large_string": (pa.array(["a"], pa.large_string()), "a"),
    "binary": (pa.array([b"\x00\xff"]), "AP8="),
    "large_binary": (pa.array([b"a"], pa.large_binary()), "YQ=="),
    "fixed_binary": (pa.array([b"ab"], pa.binary(2)), "YWI="),
    "date32": (pa.array([datetime.date(2020, 2, 29)], pa.date32()), "2020-02-29"),
    "date64": (pa.array([datetime.date(1969, 12, 31)], pa.date64()), "1969-12-31"),
    "time32": (pa.array([3_661], pa.time32("s")), "01:01:01"),
    "time64": (pa.array([1], pa.time64("ns")), "00:00:00.000000001"),
    "second": (pa.array([1_600_000_000], pa.timestamp("s")), "2020-09-13T12:26:40"),
    "milli": (pa.array([1_600_000_000_123], pa.timestamp("ms")), "2020-09-13T12:26:40.123"),
    "micro": (
        pa.array([NANO // 1000], pa.timestamp("us", "Europe/Berlin")),
        "2020-09-13T12:26:40.123456Z",
    ),
    "nano": (pa.array([NANO], pa.timestamp("ns")), "2020-09-13T12:26:40.123456789"),
    "nano_utc": (pa.array([NANO], pa.timestamp("ns", "UTC")), "2020-09-13T12:26:40.123456789Z"),
    "duration": (pa.array([-1_500_000_001], pa.duration("ns")), "-PT1.500000001S"),
    "dictionary": (pa.array(["a", "b"]).dictionary_encode()[1:], "b"),
    "list": (pa.array([[1, None]], pa.list_(pa.int8())), [1, None]),
    "large_list": (pa.array([[0.5]], pa.large_list(pa.float32())), [0.5]),
    "fixed_list": (pa.array([[1, 2]], pa.list_(pa.int8(), 2)), [1, 2]),
    "struct": (pa.array([{"a": 1, "b": {"c": "x"}}]), {"a": 1, "b": {"c": "x"}}),
    "map": (
        pa.array([[("k", 1), ("l", None)]], pa.map_(pa.string(), pa.int8())),
        {"k": 1, "l": None},
    ),
    "nested": (
        pa.array(
            [[{"at": NANO, "of": [("k", b"a")]}, None]],
            pa.list_(
                pa.struct(
                    [("at", pa.timestamp("ns")), ("of", pa.map_(pa.string(), pa.binary()))]
                )
            ),
        ),
        [{"at": "2020-09-13T12:26:40.123456789", "of": {"k": "YQ=="}}, None],
    ),
    "decimals": (
        pa.array([[decimal.Decimal("0.5")]], pa.list_(pa.decimal128(5, 1))), [0.5],
    ),
    "uuid": (
        pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"\0" * 15 + b"\1"], pa.binary(16))),
        str(uuid.UUID(int=1)),
    ),
}  # fmt: skip


def table_of(kinds, **columns):
    return pa.table({**{name: ARROW[name][0] for name in kinds}, **columns})


@server
def test_case_19_parquet(small):
    table = table_of(["decimal128", "nano", "duration", "binary"], _id=["a"], embedding=[VECTOR])
    assert small.load_table(table).code == 0
    expected = {name: ARROW[name][1] for name in ("decimal128", "nano", "duration", "binary")}
    assert expected.items() <= small.sources()["a"].items()
    loaded = small.load_table(
        table_of(["decimal128", "nano", "binary"], _id=["b"], embedding=[[1.0]])
    )
    assert (loaded.code, loaded.letters[0]["document"]["decimal128"]) == (2, 19.99)
    loaded.letters[0]["document"][FIELD] = VECTOR
    small.letters.write_text(lines(*loaded.letters))
    assert small.replay().code == 0
    assert small.sources()["b"]["nano"] == ARROW["nano"][1]


@server
@pytest.mark.parametrize("bad", [False, True])
def test_every_type_of_arrow_arrives(small, bad):
    """Each beside a good vector; and beside a bad one, by way of a letter."""
    mapping = {"dynamic": True, "properties": {"all": {"type": "object", "enabled": False}}}
    small.engine.request("PUT", f"/{small.name}/_mapping", mapping)
    columns = pa.StructArray.from_arrays([array for array, _ in ARROW.values()], names=list(ARROW))
    vectors = pa.array([[1.0] if bad else VECTOR])
    loaded = small.load_table(pa.table({"_id": ["a"], "all": columns, FIELD: vectors}))
    if bad:
        assert loaded.code == 2
        del loaded.letters[0]["document"][FIELD]
        small.letters.write_text(lines(*loaded.letters))
        loaded = small.replay()
    assert loaded.code == 0
    assert small.sources()["a"]["all"] == {name: value for name, (_, value) in ARROW.items()}


@server
def test_each_type_of_arrow_as_a_field(small):
    """The engine's own mapping takes it as it stands, or refuses it with a letter that is read."""
    arrived = {}
    for name, (array, expected) in ARROW.items():
        loaded = small.load_table(pa.table({"_id": [name], f"f_{name}": array}))
        if loaded.code:
            (letter,) = loaded.letters
            assert letter["document"] == {f"f_{name}": expected}
            assert small.replay().letters[0]["document"] == letter["document"]
        else:
            arrived[name] = {f"f_{name}": expected}
    assert small.sources() == arrived
    assert len(arrived) >= len(ARROW) - 2


@pytest.mark.parametrize("kind", ["decimals", "half", "fixed", "large", "dictionary", "tensor"])
def test_vectors_of_every_type(tmp_path, kind):
    from pyarrow import parquet

    numbers = [decimal.Decimal(str(x)) for x in VECTOR]
    arrays = {
        "decimals": lambda: pa.array([numbers], pa.list_(pa.decimal128(6, 3))),
        "half": lambda: pa.array([np.array(VECTOR, np.float16)], pa.list_(pa.float16())),
        "fixed": lambda: pa.array([VECTOR], pa.list_(pa.float32(), 4)),
        "large": lambda: pa.array([VECTOR], pa.large_list(pa.float64())),
        "dictionary": lambda: pa.array([PACKED]).dictionary_encode(),
        "tensor": lambda: pa.FixedShapeTensorArray.from_numpy_ndarray(
            np.array([VECTOR], np.float32)
        ),
    }  # fmt: skip
    parquet.write_table(pa.table({"_id": ["a"], FIELD: arrays[kind]()}), tmp_path / "v.parquet")
    (document,) = read_documents(tmp_path / "v.parquet", field=FIELD)
    assert as_embedding(document.source[FIELD], 4).tolist() == VECTOR
    assert read_training(tmp_path / "v.parquet", FIELD)[0].tolist() == [VECTOR]


@server
def test_a_vector_of_bytes_is_refused_at_once(small):
    packed = np.array(VECTOR, np.float32).tobytes()
    loaded = small.load_table(pa.table({"_id": ["a"], FIELD: [packed]}))
    assert (loaded.code, loaded.report) == (2, {})
    assert "what these bytes are is not said" in loaded.said


def test_columns_of_one_name_are_refused(tmp_path):
    from pyarrow import parquet

    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="several columns are called 'a'"):
        list(read_documents(tmp_path / "a.parquet", field=FIELD))


# --- numbers ------------------------------------------------------------------------------------


@server
def test_numbers_that_json_does_not_have(small):
    table = pa.table({"_id": ["a", "b", "c"], "price": [1.0, float("nan"), None]})
    loaded = small.load_table(table)
    assert (loaded.code, loaded.report["indexed"]) == (2, 2)
    (letter,) = loaded.letters
    assert "price: nan is no number in JSON" in letter["reason"]
    assert letter["document"] == {"price": None}
    assert small.replay().code == 0
    assert len(small.sources()) == 3
    loaded = small.load_text('{"_id": "d", "x": NaN}\n{"_id": "e", "x": 1e999}\n')
    assert [letter["text"] for letter in loaded.letters] == [
        '{"_id": "d", "x": NaN}',
        '{"_id": "e", "x": 1e999}',
    ]


NUMBERS = ["0", "-0.0", "1e5", "1.5E-7", "9223372036854775807", "18446744073709551615",
           "18446744073709551616", "-9223372036854775809", "123456789012345678901234567890",
           "1e300", "5e-324", "0.1", "100000000000000000000.0"]  # fmt: skip


@pytest.fixture(scope="module")
def of_numbers(engine, tmp_path_factory):
    """An index for one number after the other."""
    made = SmallIndex(engine, f"numbers-{os.getpid()}", tmp_path_factory.mktemp("numbers"))
    mapping = {"properties": {"o": {"type": "object", "enabled": False}}}
    engine.request("PUT", f"/{made.name}/_mapping", mapping)
    yield made
    made.drop()


@server
@pytest.mark.parametrize("number", NUMBERS)
def test_every_number_of_json_arrives_or_is_refused(of_numbers, number):
    small = of_numbers
    loaded = small.load_text(f'{{"_id": "a", "o": {{"x": [{number}]}}}}')
    assert loaded.code == 0
    by_hand = f'{{"index": {{"_id": "b"}}}}\n{{"o": {{"x": [{number}]}}}}\n'
    small.engine.bulk(small.name, by_hand.encode())
    found, by_client = (
        small.engine.request("GET", f"/{small.name}/_doc/{name}")["_source"]["o"]["x"][0]
        for name in "ab"
    )  # OpenSearch keeps integers of more than 64 bits as floats
    assert repr(found) == repr(by_client)
    assert found == pytest.approx(json.loads(number), rel=1e-15)
    loaded = small.load_text(f'{{"_id": "c", "{FIELD}": [1], "x": {number}}}')
    assert loaded.code == 2
    assert repr(loaded.letters[0]["document"]["x"]) == repr(json.loads(number))


def test_what_programs_give(tmp_path):
    values = {
        "at": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
        "np": [np.float32(0.5), np.int64(3), np.bool_(True), np.arange(4)[::2]],
        "keys": {1: "a", None: "b"},
        "tuple": (1, 2),
        "large": 2**80,
        "span": datetime.timedelta(days=1, microseconds=5),
    }
    assert json.loads(to_json(values)) == {
        "at": "2020-01-01T00:00:00+00:00",
        "np": [0.5, 3, True, [0, 2]],
        "keys": {"1": "a", "null": "b"},
        "tuple": [1, 2],
        "large": 2**80,
        "span": "PT86400.000005S",
    }
    deep = []
    for _ in range(2000):
        deep = [deep]
    for bad in (
        {1, 2},
        1j,
        "\ud800",
        float("inf"),
        np.array([np.nan]),
        decimal.Decimal("NaN"),
        deep,
    ):
        with pytest.raises(JsonError, match=r"^a\.b"):
            to_json({"a": {"b": bad}})
        assert json.loads(to_json_somehow({"a": {"b": bad}}))
    assert embedding_fault([np.float32(0.5), decimal.Decimal("0.5"), 1], 3) is None
    for number in (1e200, float("inf"), float("nan")):
        for values in ([number, 1.0], (number, 1.0), np.array([number, 1.0])):
            assert "finite float32" in str(embedding_fault(values, 2))
    assert read_json(b'{"x": 18446744073709551616}') == {"x": 2**64}


def test_a_vector_is_no_longer_than_float32_can_say():
    """Its length is kept beside it, and an engine's own word for infinity helps nobody."""
    for of in (list, np.asarray):
        assert "too large for float32" in str(embedding_fault(of([3e38] * 8), 8))
        assert embedding_fault(of([1e38] * 8), 8) is None


# --- 20: dotted fields --------------------------------------------------------------------------

DOTTED = "doc.embedding"
FORMS = {
    "nested": {"doc": {"embedding": VECTOR, "x": 1}},
    "dotted": {"doc.embedding": VECTOR, "doc.x": 1},
    "list": {"doc": [{"embedding": VECTOR, "x": 1}]},
    "lists": {"doc": [[{"x": 1}, {"embedding": VECTOR}]]},
    "mixed": {"doc": {"x": 1}, "doc.embedding": VECTOR},
    "old_hash": {
        "doc": {"embedding": VECTOR},
        "meta4.doc.embedding": {"model": "old@1", "bucket": ["ff"]},
    },
    "old_parts": {"doc.embedding": VECTOR, "meta4": {"doc.embedding.bucket": ["ff"]}},
}
WITHOUT = {
    "none": {"doc": {"x": 1}},
    "null": {"doc.embedding": None},
    "hash_only": {"x": 1, "meta4.doc.embedding.bucket": ["ff"]},
    "empty": {"doc": []},
}
SEVERAL = {
    "two_objects": {"doc": [{"embedding": VECTOR}, {"embedding": VECTOR}]},
    "two_spellings": {"doc": {"embedding": VECTOR}, "doc.embedding": VECTOR},
}


@server
@pytest.mark.parametrize("hashing", ["client", "server"])
def test_case_20_a_dotted_field(make_small, hashing):
    small = make_small(field=DOTTED, hashing=hashing)
    rows = [{"_id": name, **form} for forms in (FORMS, WITHOUT, SEVERAL)
            for name, form in forms.items()]  # fmt: skip
    loaded = small.load_rows(*rows, hash=hashing)
    refused = {letter["_id"]: letter["reason"] for letter in loaded.letters}
    assert set(refused) == set(SEVERAL), refused
    for letter in loaded.letters:
        assert "expected one value, got 2, in several places" in letter["reason"]
    table = pa.table({"_id": ["column"], DOTTED: [VECTOR]})
    assert small.load_table(table, hash=hashing).code == 0
    assert loaded.report["without_vector"] == len(WITHOUT)
    small.engine.refresh(small.name)
    assert heal_index(small.engine, small.name, dry_run=True) == 0
    with_vector = {*FORMS, "column"}
    hashed = {"exists": {"field": small.spec.fields.bucket}}
    hits = list(small.engine.scan(small.name, {"query": hashed}))
    assert {hit["_id"] for hit in hits} == with_vector
    first = value_at(hits[0]["_source"], small.spec.fields.root)
    for hit in hits:
        assert value_at(hit["_source"], small.spec.fields.root) == first
        found = np.array(value_at(hit["_source"], DOTTED))  # OpenSearch keeps the direction alone
        assert found / np.linalg.norm(found) == pytest.approx(VECTOR / np.linalg.norm(VECTOR))
    buckets = {"terms": {small.spec.fields.bucket: first["bucket"]}}
    assert small.engine.count(small.name, buckets) == len(with_vector)
    assert small.engine.count(small.name, {"term": {small.spec.fields.bucket: "ff"}}) == 0
    findings = {finding.what: finding for finding in examine_index(small.engine, small.name)}
    assert (findings["documents"].level, findings["documents"].todo) == ("fine", "")


@server
def test_what_went_past_the_hasher_is_healed_in_every_form(make_small):
    small = make_small(field=DOTTED)
    for name, form in FORMS.items():
        small.engine.request("PUT", f"/{small.name}/_doc/{name}", form)
    assert heal_index(small.engine, small.name) == len(FORMS)
    assert heal_index(small.engine, small.name, dry_run=True) == 0


@pytest.mark.parametrize("name", FORMS)
def test_the_places_of_a_dotted_field(name):
    form = json.loads(json.dumps(FORMS[name]))
    assert value_at(form, DOTTED) == VECTOR
    put_at(form, DOTTED, [1])
    assert value_at(form, DOTTED) == [1]
    put_anew(form, "meta4.doc.embedding", {"bucket": ["aa"]})
    assert value_at(form, "meta4.doc.embedding") == {"bucket": ["aa"]}
    assert value_at(form, "meta4.doc.embedding.bucket") == ["aa"]
    kept = json.loads(json.dumps(form))
    left = without(without(form, DOTTED), "meta4")
    assert form == kept
    remove_at(form, DOTTED)
    assert value_at(form, DOTTED) is None
    assert value_at(left, DOTTED) is None
    assert value_at(left, "doc.x") == value_at(form, "doc.x") == value_at(FORMS[name], "doc.x")


def test_several_values_are_told(tmp_path):
    for form in SEVERAL.values():
        assert isinstance(value_at(form, DOTTED), Several)
    deep = {"embedding": VECTOR}
    for _ in range(5000):
        deep = [deep]
    assert value_at({"doc": deep}, DOTTED) == VECTOR


# --- 21: packed vectors -------------------------------------------------------------------------


@server
@pytest.mark.parametrize("hashing", ["client", "server"])
def test_case_21_packed_vectors(make_small, hashing):
    small = make_small(hashing=hashing)
    loaded = small.load_rows(
        {"_id": "a", FIELD: PACKED},
        {"_id": "b", FIELD: VECTOR},
        {"_id": "unpadded", FIELD: PACKED.rstrip("=")},
        {"_id": "short", FIELD: PACKED[:16]},
        {"_id": "hex", FIELD: base64.b64decode(PACKED).hex()},
        {"_id": "text", FIELD: "no vector"},
        {"_id": "zero", FIELD: elasticsearch.helpers.pack_dense_vector([0.0] * 4)},
        hash=hashing,
    )
    assert {letter["_id"] for letter in loaded.letters} == {"short", "hex", "text", "zero"}
    for letter in loaded.letters:
        word = "zero vector" if letter["_id"] == "zero" else "or the base64 of as many float32"
        assert word in letter["reason"]
    small.engine.refresh(small.name)
    hits = {
        h["_id"]: h["_source"] for h in small.engine.scan(small.name, {"query": {"match_all": {}}})
    }
    assert hits["a"]["meta4"] == hits["b"]["meta4"] == hits["unpadded"]["meta4"]
    assert hits["a"][FIELD] == pytest.approx(hits["b"][FIELD])
    assert heal_index(small.engine, small.name, dry_run=True) == 0


@server
@pytest.mark.parametrize("node", ["elasticsearch"], indirect=True)
def test_an_index_of_packed_vectors_is_adopted(make_small, engine, index_name):
    small = make_small()
    mapping = {"properties": {FIELD: {"type": "dense_vector", "dims": 4}}}
    settings = {"index.mapping.exclude_source_vectors": False}
    plain, target = f"{index_name}-plain", f"{index_name}-target"
    engine.request("PUT", f"/{plain}", {"settings": settings, "mappings": mapping})
    try:
        engine.request("PUT", f"/{plain}/_doc/a", {FIELD: PACKED, "n": 1})
        engine.refresh(plain)
        (source,) = engine.sources(plain, ["a"])
        assert source[FIELD] == PACKED
        field = read_field(engine, small.name)
        report = adopt_index(Place(engine, plain), Place(engine, target), field)
        assert (report.is_whole, report.n_hashed, report.n_compared) == (True, 1, 1)
        (copied,) = engine.sources(target, ["a"])
        assert (copied[FIELD], copied["n"]) == (VECTOR, 1)
    finally:
        engine.delete_index(plain)
        engine.delete_index(target)


@server
def test_packed_vectors_that_went_past_the_hasher(make_small, tmp_path):
    """As the client's own helper sends them to an index without a pipeline."""
    small = make_small()
    try:
        small.engine.request("PUT", f"/{small.name}/_doc/a", {FIELD: PACKED})
    except RefusedError:  # by OpenSearch, which takes numbers only
        return
    assert heal_index(small.engine, small.name) == 1
    assert heal_index(small.engine, small.name, dry_run=True) == 0
    path = tmp_path / "q.ndjson"
    path.write_text(lines({FIELD: PACKED}))
    assert read_training(path, FIELD)[0].tolist() == [VECTOR]


# --- new embeddings -----------------------------------------------------------------------------


def test_files_of_new_embeddings_are_read_as_documents_are(tmp_path):
    from pyarrow import parquet

    forms = lines(
        {"index": {"_id": "a"}},
        {FIELD: VECTOR},
        {"_id": {"$oid": OID}, FIELD: VECTOR},
        {"_index": "elsewhere", "_id": 3, "_source": {FIELD: VECTOR}},
    )
    (tmp_path / "v.ndjson").write_bytes(b"\xef\xbb\xbf" + forms.encode())
    table = pa.table({"_id": [b"a", OID.encode(), b"3"], FIELD: [VECTOR] * 3})
    parquet.write_table(table, tmp_path / "v.parquet")
    for name in ("v.ndjson", "v.parquet"):
        found = NewEmbeddings(tmp_path / name, FIELD).of(["a", OID, "3", "4"])
        assert {k: v.tolist() for k, v in found.items()} == {"a": VECTOR, OID: VECTOR, "3": VECTOR}
    for bad in ({"_id": 1.5, FIELD: VECTOR}, {"delete": {"_id": "a"}}, {"index": {"_id": "a"}}):
        (tmp_path / "bad.ndjson").write_text(lines(bad))
        with pytest.raises(InputError, match=r"bad\.ndjson line 1"):
            NewEmbeddings(tmp_path / "bad.ndjson", FIELD)


# --- all of it ----------------------------------------------------------------------------------

names = st.sampled_from(["_id", "_routing", "_index", "_source", "_op_type", FIELD, "meta4", "n",
                         "index", "create", "update", "delete", "doc.a", "doc"])  # fmt: skip
scalars = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(width=32)
    | st.sampled_from(["a", "b", "", "index", "create", "delete", PACKED, {"$oid": OID}])
)  # fmt: skip
values = scalars | st.just(VECTOR) | st.lists(scalars, max_size=3)
documents = st.dictionaries(names, values | st.dictionaries(names, values, max_size=2), max_size=4)
actions = st.builds(
    lambda kind, said: {kind: said},
    st.sampled_from(["index", "index", "create", "update", "delete"]),
    st.dictionaries(
        st.sampled_from(["_id", "routing", "_index", "if_seq_no"]), scalars, max_size=2
    ),
)
rows = st.lists(documents | actions | st.just("{broken") | st.just([1]), max_size=12)


@pytest.fixture(scope="module")
def fuzzed_index(engine, tmp_path_factory):
    made = SmallIndex(engine, f"inputs-{os.getpid()}", tmp_path_factory.mktemp("inputs"))
    engine.request("PUT", f"/{made.name}/_mapping", {"dynamic": False})
    yield made
    made.drop()


def is_action(row):
    if not isinstance(row, dict) or "Infinity" in json.dumps(row) or "NaN" in json.dumps(row):
        return False
    kinds, said = {"index", "create", "update", "delete"}, list(row.values())
    metadata = {"_id", "routing", "_index", "if_seq_no", "_source", "_routing"}
    return (
        len(row) == 1
        and set(row) <= kinds
        and isinstance(said[0], dict)
        and set(said[0]) <= metadata
    )


def n_items(drawn):
    """How many documents or refusals there are in rows of which two may be one."""
    n, waits = 0, False
    for row in drawn:
        if is_action(row):
            n += 1
            waits = "delete" not in row
        else:
            n += not waits
            waits = False
    return n


@server
@fuzzed
@given(drawn=rows)
def test_no_row_is_lost(fuzzed_index, drawn):
    """Indexed, refused with a letter that is read again, or there already: each is one of these."""
    index = fuzzed_index
    index.clear()
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in drawn)
    loaded = index.load_text(text)
    if not drawn and not loaded.report:
        return
    report = loaded.report
    assert report["indexed"] + report["refused"] + report["left"] == n_items(drawn)
    assert len(loaded.letters) == report["refused"]
    assert len(index.sources()) == report["indexed"]
    if loaded.letters:
        again = index.replay()
        assert again.report["indexed"] + again.report["left"] + again.report["refused"] == len(
            loaded.letters
        )
