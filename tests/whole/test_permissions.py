"""The privileges in docs/deploy.md, on a server with security on: enough, and none to spare."""

import functools
import itertools
import json
from base64 import b64encode
from contextlib import ExitStack
from urllib.parse import urlsplit

import numpy as np
import pytest
from support import ROOT
from support.gateways import ask, gateway_before
from support.secured import HASHED, PASSWORD, SecuredElasticsearch, SecuredOpenSearch
from support.servers import running
from support.vectors import unit
from support.words import FIELD, word_documents

from meta4 import DocumentHasher, Meta4
from meta4.adapter.cli.main import cli
from meta4.adapter.engines.access import Access
from meta4.adapter.engines.connection import connect
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.adapter.move.rehash import make_alias
from meta4.errors import NotFoundError, RefusedError

pytestmark = pytest.mark.server
DEPLOY = ROOT / "docs" / "deploy.md"
BASE = "perm-base"
#: Where the privileges of each engine stand in docs/deploy.md.
SECURED = {"opensearch": SecuredOpenSearch(), "elasticsearch": SecuredElasticsearch("9.4.3")}


class Site:
    """What the commands work on, made by the superuser."""

    def __init__(self, name, node, model, sample, folder):
        self.name = name
        self.address = node.url.partition("://")[2]
        self.engine = connect(self.url("admin"))
        self.model, self.sample, self.folder = model, sample, folder
        self.ref = ModelStore(self.engine).push("perm", model)
        ModelStore(self.engine).push("perm-other", model)
        self.spec = self.create(BASE)
        hasher = DocumentHasher(model, self.spec)
        load_documents(self.engine, BASE, word_documents(sample, range(1000)), hasher)
        tune_index(self.engine, BASE, n_queries=30)
        self.numbers = itertools.count()
        self.file = folder / "one.ndjson"
        self.file.write_text(json.dumps({"_id": "a", FIELD: sample.vectors[5].tolist()}))

    def url(self, user):
        return f"http://{user}:{PASSWORD}@{self.address}"

    def create(self, name):
        return create_index(
            self.engine, name, field=FIELD, ref=self.ref, model=self.model, hashing="client"
        )

    def new(self):
        """A name that no index and no model has."""
        return f"perm-{next(self.numbers)}"

    def user(self, columns):
        """A user with these privileges and no others."""
        if self.name == "opensearch":
            return self.url(self.users[json.dumps(columns)])
        name = self.new()
        cluster, *_ = columns
        indices = [
            {"names": [pattern], "privileges": privileges}
            for pattern, privileges in by_pattern(columns)
        ]
        role = {"cluster": cluster, "indices": indices}
        self.engine.request("PUT", f"/_security/role/{name}", role)
        user = {"password": PASSWORD, "roles": [name]}
        self.engine.request("PUT", f"/_security/user/{name}", user)
        return self.url(name)

    def make_users(self, all_columns):
        """All at once: OpenSearch takes a second to take in a change of its users."""
        self.users = {json.dumps(columns): self.new() for columns in all_columns}
        roles, users = [], []
        for columns, name in self.users.items():
            cluster, *_ = columns = json.loads(columns)
            indices = [
                {"index_patterns": [pattern], "allowed_actions": privileges}
                for pattern, privileges in by_pattern(columns)
            ]
            role = {"cluster_permissions": cluster, "index_permissions": indices}
            user = {"hash": HASHED, "opendistro_security_roles": [name]}
            roles.append({"op": "add", "path": f"/{name}", "value": role})
            users.append({"op": "add", "path": f"/{name}", "value": user})
        self.engine.request("PATCH", "/_plugins/_security/api/roles", roles)
        self.engine.request("PATCH", "/_plugins/_security/api/internalusers", users)


def by_pattern(columns):
    """(pattern, privileges) of a row; "… on *" is of all indexes."""
    _, index, models = columns
    everywhere = [word.removesuffix(" on *") for word in index if word.endswith(" on *")]
    here = [word for word in index if not word.endswith(" on *")]
    granted = [("*", everywhere), ("perm-*", here), ("meta4-models", models)]
    return [(pattern, privileges) for pattern, privileges in granted if privileges]


def run(*arguments):
    """A command in this process; raises what it would report."""
    assert not cli.main(args=[str(argument) for argument in arguments], standalone_mode=False)


def search(site):
    body = search_body(site)
    run("similar", "king", "--index", BASE)
    run("analogy", "man", "king", "woman", "--index", BASE)
    run("explain", body, "--index", BASE)
    run("eval", BASE, "--queries", 3)


def duplicates(site):
    run("duplicates", BASE, "--min-cosine", 0.9)


def make(site):
    run("index", "create", site.new(), "--model", "perm@1", "--field", FIELD)


def move(site):
    """Another model, and back; with a document deleted and one written meanwhile."""
    name = site.new()
    first = f"{name}-1"
    spec = site.create(first)
    documents = word_documents(site.sample, range(20))
    load_documents(site.engine, first, documents, DocumentHasher(site.model, spec))
    make_alias(site.engine, name, first)
    run("index", "rehash", name, "--model", "perm-other@1")
    site.engine.request("DELETE", f"/{name}/_doc/{site.sample.words[3]}")
    run("index", "rollback", name)
    assert site.engine.count(first) == 19


def doctor(site):
    cli.main(["index", "doctor", BASE, "--queries", "10"], standalone_mode=False)


def drop(site):
    name = site.new()
    site.create(name)
    run("index", "drop", name, "--yes")


def heal(site):
    stray = {FIELD: site.sample.vectors[9].tolist()}
    site.engine.request("PUT", f"/{BASE}/_doc/stray", body=stray, params={"refresh": "true"})
    run("index", "heal", BASE)


def pull(site):
    run("model", "list")
    run("model", "pull", "perm@1", "--out", site.folder / site.new())


def push(site):
    folder = site.folder / site.new()
    site.model.save(folder)
    run("model", "push", folder)


COMMANDS = {
    "`similar`, `analogy`, `explain`, `eval`": search,
    "`duplicates`": duplicates,
    "`index list`": lambda site: run("index", "list"),
    "`index show`": lambda site: run("index", "show", BASE),
    "`index create`": make,
    "`index tune`": lambda site: run("index", "tune", BASE, "--queries", 10),
    "`index heal`": heal,
    "`index alias`": lambda site: run("index", "alias", site.new(), BASE),
    "`index rehash`, `index rollback`": move,
    "`index doctor`": doctor,
    "`index drop`": drop,
    "`ingest`": lambda site: run("ingest", site.file, "--index", BASE),
    "`model list`, `model pull`": pull,
    "`model push`": push,
    "`copy`, in the source": lambda site: run(
        "copy", f"{site.mine}/{BASE}", f"{site.url('admin')}/{site.new()}"
    ),
    "`copy`, in the target": lambda site: run(
        "copy", f"{site.url('admin')}/{BASE}", f"{site.mine}/{site.new()}"
    ),
}


def rows():
    """(engine, commands, privileges by column) of each row in the tables."""
    text = DEPLOY.read_text(encoding="utf-8")
    for engine in SECURED:
        _, _, rest = text.partition(f"<!-- permissions {engine} -->\n")
        table, _, _ = rest.partition("\n<!-- /permissions")
        for line in table.splitlines()[2:]:
            name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            columns = [
                [word.strip().replace("`", "") for word in cell.split(",") if word.strip()]
                for cell in cells
            ]
            yield pytest.param(engine, name, columns, id=f"{engine} {name}")


@pytest.fixture(scope="module")
def sites(models, sample, tmp_path_factory):
    """Both, each started when a test first asks for it: `sites("opensearch")`."""
    with ExitStack() as stack:

        @functools.cache
        def get(name):
            node = stack.enter_context(running(SECURED[name]))
            made = Site(name, node, models["cells"], sample, tmp_path_factory.mktemp("site"))
            if name == "opensearch":
                tested = [row.values[2] for row in rows() if row.values[0] == name]
                made.make_users(each for columns in tested for each in [columns, *fewer(columns)])
            return made

        yield get


@pytest.fixture
def site(request, sites):
    return sites(request.param)


on_both = pytest.mark.parametrize("site", SECURED, indirect=True)


def fewer(columns):
    """The same, each time without another one."""
    for at, column in enumerate(columns):
        for dropped in column:
            rest = [one for one in column if one != dropped]
            yield [*columns[:at], rest, *columns[at + 1 :]]


def test_the_tables_have_all_commands():
    assert [row.values[1] for row in rows()] == [*COMMANDS] * len(SECURED)


@pytest.mark.parametrize(("site", "name", "columns"), list(rows()), indirect=["site"])
def test_privileges(site, monkeypatch, capsys, name, columns):
    def refused(columns):
        site.mine = site.user(columns)
        monkeypatch.setenv("META4_URL", site.mine)
        capsys.readouterr()
        try:
            COMMANDS[name](site)
        except RefusedError as error:
            assert "answered 403" in str(error)
            return str(error)
        said = "".join(capsys.readouterr())
        listed = (
            BASE in said and "answered 403" not in said
        )  # an entry that says why it has no more
        return None if listed or name != "`index list`" else "not listed"

    assert refused(columns) is None
    for less in fewer(columns):
        assert refused(less), f"one is spare: {columns} beside {less}"


#: What the first row of OpenSearch's table grants.
READS = ["read", "indices:admin/mappings/get"]
SEES_ALIASES = "indices:admin/aliases/get"


def reader(site, actions, **more):
    """A user of OpenSearch who may search, with rights on documents, say."""
    return Meta4(reader_url(site, actions, **more))


def reader_url(site, actions, cluster="cluster_composite_ops_ro", also=(), **more):
    name = site.new()
    on_index = {"index_patterns": ["perm-*"], "allowed_actions": actions, **more}
    on_models = {"index_patterns": ["meta4-models"], "allowed_actions": ["read"]}
    role = {
        "cluster_permissions": ["cluster_monitor", cluster],
        "index_permissions": [on_index, on_models, *also],
    }
    api = "/_plugins/_security/api"
    site.engine.request("PUT", f"{api}/roles/{name}", role)
    user = {"hash": HASHED, "opendistro_security_roles": [name]}
    site.engine.request("PUT", f"{api}/internalusers/{name}", user)
    return site.url(name)


@pytest.mark.parametrize("site", ["opensearch"], indirect=True)
@pytest.mark.parametrize("recall", [0.9, 1.0])
def test_the_nearest_are_of_those_that_one_may_see(site, sample, recall):
    """k-NN counts documents that document-level security hides."""
    meta4 = reader(site, READS, dls=json.dumps({"term": {"tenth": 3}}))
    vectors = unit(sample.vectors[:1000][3::10])
    for query in sample.vectors[2000:2020]:
        clause = {"meta4_similar": {FIELD: {"vector": query.tolist(), "recall": recall}}}
        answer = meta4.search(index=BASE, body={"query": clause, "_source": False})
        best = np.sort((1 + vectors @ query / np.linalg.norm(query)) / 2)[::-1][:10]
        scores = [hit["_score"] for hit in answer["hits"]["hits"]]
        assert np.allclose(scores, best, atol=1e-5)
        assert answer["hits"]["total"]["value"] == 10


@pytest.mark.parametrize("site", ["opensearch"], indirect=True)
@pytest.mark.parametrize("fusion", ["rrf", "weighted"])
def test_what_is_fused_is_of_those_that_one_may_see(site, sample, fusion):
    """The engine adds the score of its own query to each document's, last of all to the fused."""
    mine: dict = {"term": {"tenth": 3}}
    factor = {"field": "rank", "factor": 0.1}
    scored = {"function_score": {"query": mine, "field_value_factor": factor}}
    limited, admin = reader(site, READS, dls=json.dumps(scored)), Meta4(site.url("admin"))
    for query in sample.vectors[2000:2010]:
        similar = {FIELD: {"vector": query.tolist(), "recall": 1.0}}
        words = {"range": {"rank": {"gte": 300}}}
        hybrid = {"meta4_hybrid": {"query": words, "similar": similar, "fusion": fusion, "k": 20}}
        body = {"_source": False, "query": hybrid}
        within = {**body, "query": {"bool": {"must": [hybrid], "filter": [mine]}}}
        seen, wanted = (
            [(hit["_id"], hit["_score"]) for hit in answer["hits"]["hits"]]
            for answer in (limited.search(index=BASE, body=body),
                           admin.search(index=BASE, body=within))
        )  # fmt: skip
        assert len(seen) == 20
        if fusion == "rrf":
            assert seen == wanted
        else:  # cosines are a script's there, whose last digit may be another
            scores = [score for _, score in wanted]
            assert [score for _, score in seen] == pytest.approx(scores, abs=5e-7)


@pytest.mark.parametrize("site", ["opensearch"], indirect=True)
def test_who_asks_through_an_alias_must_see_its_filter(site, sample):
    alias = site.new()
    add = {"index": BASE, "alias": alias, "filter": {"term": {"tenth": 3}}}
    site.engine.request("POST", "/_aliases", {"actions": [{"add": add}]})
    clause = {"meta4_similar": {FIELD: {"vector": sample.vectors[2000].tolist()}}}
    with pytest.raises(RefusedError, match=SEES_ALIASES):
        reader(site, READS).search(index=alias, body={"query": clause})
    answer = reader(site, [*READS, SEES_ALIASES]).search(index=alias, body={"query": clause})
    assert {hit["_source"]["tenth"] for hit in answer["hits"]["hits"]} == {3}


@on_both
def test_a_wrong_password_is_a_refusal(site, monkeypatch):
    monkeypatch.setenv("META4_URL", site.url("admin").replace(PASSWORD, "wrong"))
    with pytest.raises(RefusedError, match="401") as refused:
        run("index", "list")
    assert "wrong" not in str(refused.value)


@on_both
def test_a_copy_says_no_password(site, capsys):
    name = site.new()
    run("copy", f"{site.url('admin')}/{BASE}", f"{site.url('admin')}/{name}")
    said = "".join(capsys.readouterr())
    assert name in said
    assert PASSWORD not in said


@pytest.mark.parametrize("site", ["elasticsearch"], indirect=True)
def test_an_api_key_and_a_user_from_the_environment(site, capsys, monkeypatch):
    """And no secret is said, by what works or by what does not."""
    made = site.engine.request("POST", "/_security/api_key", body={"name": site.new()})
    address = f"http://{site.address}"
    for variables, status in (
        ({"API_KEY": made["encoded"]}, None),
        ({"USER": "admin", "PASSWORD": PASSWORD}, None),
        ({"API_KEY": "bm9ib2R5OnNlY3JldA=="}, "401"),
        ({"USER": "admin", "PASSWORD": "guessed"}, "401"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv("META4_URL", address)
            for name, value in variables.items():
                patch.setenv(f"META4_{name}", value)
            said = ""
            if status is None:
                run("index", "list", "--json")
                run("explain", search_body(site), "--index", BASE, "--json")
            else:
                with pytest.raises(RefusedError, match=status) as refused:
                    run("index", "list")
                said = str(refused.value) + repr(refused.value.__cause__)
        said += "".join(capsys.readouterr())
        assert not [secret for secret in list(variables.values())[-1:] if secret in said]


def search_body(site):
    body = site.folder / "body.json"
    body.write_text(json.dumps({"query": {"meta4_similar": {FIELD: {"id": "king", "k": 3}}}}))
    return body


@pytest.fixture
def through(site):
    """A gateway before the servers: the URL by it of another."""
    with gateway_before(f"http://{site.address}", Access(user="admin", password=PASSWORD)) as url:
        yield lambda direct: direct.replace(site.address, url.partition("://")[2])


def account(site, actions):
    """The URL of a user who may do these things with our indexes, and read models."""
    if site.name == "opensearch":
        return reader_url(site, actions, "cluster_composite_ops")
    return site.user([["monitor"], actions, ["read"]])


MAY_READ = {"opensearch": READS, "elasticsearch": ["read", "view_index_metadata"]}
MAY_WRITE = {
    "opensearch": ["indices:data/write/*", "indices:admin/mapping/put"],
    "elasticsearch": ["index"],
}


def search_by(url, body):
    return connect(url).request("POST", f"/{BASE}/_search", body)


@on_both
def test_by_the_gateway_one_sees_what_one_may(site, through):
    """After others have asked, too: what was read for them is remembered for them alone."""
    clause = {"meta4_similar": {FIELD: {"id": site.sample.words[7], "k": 5, "recall": 1.0}}}
    body = {"query": clause, "_source": False}
    for user in (site.url("admin"), account(site, MAY_READ[site.name])):
        expected = Meta4(user).search(index=BASE, body=body)["hits"]["hits"]
        assert search_by(through(user), body)["hits"]["hits"] == expected
    nobody = account(site, ["indices:admin/get"] if site.name == "opensearch" else ["monitor"])
    wrong = site.url("admin").replace(PASSWORD, "wrong")
    none = f"http://{site.address}"
    for user, status in ((nobody, 403), (wrong, 401), (none, (401, 403))):
        engine = site.engine.__class__.at(through(user))  # `connect` would be refused already
        for path in (f"/{BASE}/_search", f"/{BASE}/_count", f"/_meta4/explain/{BASE}"):
            with pytest.raises(RefusedError) as refused:
                engine.request("POST", path, {"query": clause})
            assert refused.value.status in (status if isinstance(status, tuple) else (status,))
            assert site.sample.words[7] not in str(refused.value)


@pytest.mark.parametrize("site", ["opensearch"], indirect=True)
def test_by_the_gateway_hidden_documents_stay_hidden(site, through, sample):
    admin, user = site.url("admin"), reader_url(site, READS, dls=json.dumps({"term": {"tenth": 3}}))
    hidden, seen = sample.words[4], sample.words[3]
    for name, is_there in ((seen, True), (hidden, False)):
        clause = {"meta4_similar": {FIELD: {"id": name, "k": 10, "recall": 0.9}}}
        body = {"query": clause, "_source": ["tenth"]}
        assert search_by(through(admin), body)["hits"]["hits"]
        if is_there:
            hits = search_by(through(user), body)["hits"]["hits"]
            assert {hit["_source"]["tenth"] for hit in hits} == {3}
        else:
            with pytest.raises(NotFoundError):
                search_by(through(user), body)


@on_both
def test_a_writer_who_may_not_read_mappings_is_told(site, through, sample):
    """What it writes is not hashed, and the answer says so."""
    user = account(site, MAY_WRITE[site.name])
    parts = urlsplit(through(user))
    credentials = b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    status, headers, _ = ask(
        f"http://{parts.hostname}:{parts.port}", "PUT", f"/{BASE}/_doc/unseen?refresh=true",
        json.dumps({FIELD: sample.vectors[5].tolist()}),
        {"content-type": "application/json", "authorization": f"Basic {credentials}"},
    )  # fmt: skip
    assert status in (200, 201)
    assert "may not read what their index says" in headers["warning"]
    site.engine.request("DELETE", f"/{BASE}/_doc/unseen", params={"refresh": "true"})


@on_both
def test_a_named_query_is_read_and_run_with_ones_own_rights(site, through, monkeypatch):
    """Who may not read queries is refused, and who may not search the index; as docs/deploy.md."""
    word, name = site.sample.words[7], site.new()
    body = {"query": {"meta4_similar": {FIELD: {"id": "{{like}}", "k": 5}}}, "_source": False}
    file = site.folder / f"{name}.json"
    file.write_text(json.dumps(
        {"index": BASE, "parameters": {"like": {"type": "string"}}, "body": body}
    ))  # fmt: skip
    monkeypatch.setenv("META4_URL", site.url("admin"))
    run("query", "put", name, file)
    expected = Meta4(site.url("admin")).run(name, like=word)["hits"]
    everything, none = MAY_READ[site.name], ["indices:admin/get"]
    none = none if site.name == "opensearch" else ["monitor"]
    for actions, queries, may in (
        (everything, ["read"], True), (everything, [], False), (none, ["read"], False),
    ):  # fmt: skip
        engine = site.engine.__class__.at(through(query_account(site, actions, queries)))
        for method, target in (("GET", f"{name}?like={word}"), ("POST", f"{name}@1?like={word}")):
            if may:
                found = engine.request(method, f"/_meta4/query/{target}")["hits"]
                assert found["hits"] == expected["hits"]
                continue
            with pytest.raises(RefusedError) as refused:
                engine.request(method, f"/_meta4/query/{target}")
            assert refused.value.status == 403
    putter = query_account(site, none, PUTS_QUERIES[site.name])
    monkeypatch.setenv("META4_URL", putter)
    file.write_text(file.read_text().replace('"k": 5', '"k": 6'))
    run("query", "put", name, file)
    run("query", "drop", name, "--yes")


#: What docs/deploy.md says of `query put` and `query drop`, on the index of queries.
PUTS_QUERIES = {"opensearch": ["read", "index"], "elasticsearch": ["read", "index"]}


def query_account(site, actions, on_queries):
    """The URL of a user with these rights on our indexes and on queries, who may read models."""
    if site.name == "elasticsearch":
        name = site.new()
        granted = [("perm-*", actions), ("meta4-models", ["read"]), ("meta4-queries", on_queries)]
        indices = [{"names": [p], "privileges": rights} for p, rights in granted if rights]
        role = {"cluster": ["monitor"], "indices": indices}
        site.engine.request("PUT", f"/_security/role/{name}", role)
        user = {"password": PASSWORD, "roles": [name]}
        site.engine.request("PUT", f"/_security/user/{name}", user)
        return site.url(name)
    more = [{"index_patterns": ["meta4-queries"], "allowed_actions": on_queries}]
    return reader_url(site, actions, "cluster_composite_ops", also=more if on_queries else [])


def page_by(url, path=""):
    parts = urlsplit(url)
    credentials = b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    given = {} if parts.username is None else {"authorization": f"Basic {credentials}"}
    address = f"http://{parts.hostname}:{parts.port}"
    status, headers, body = ask(address, "GET", f"/_meta4/{path}", headers=given)
    return status, headers, body.decode()


@on_both
def test_the_page_shows_what_one_may_see(site, through):
    """After an administrator has looked, too."""
    word = max(site.sample.words[:40], key=len)  # which no page says by itself
    paths = (f"search/{BASE}?id={word}", f"map/{BASE}?id={word}", f"index/{BASE}",
             f"complete/{BASE}?typed={word}", f"cell/{BASE}?bucket=00")  # fmt: skip
    for user in (site.url("admin"), account(site, MAY_READ[site.name])):
        _, _, text = page_by(through(user), paths[0])
        assert "What exact search says" in text
    assert BASE in page_by(through(site.url("admin")))[2]
    nobody = account(site, ["indices:admin/get"] if site.name == "opensearch" else ["monitor"])
    for path in paths:
        status, _, text = page_by(through(nobody), path)
        assert status == 403, (path, text)
        assert word not in text.replace(path, "")
    status, _, text = page_by(through(nobody))
    assert status == 200 and f">{BASE}<" not in text
    wrong = site.url("admin").replace(PASSWORD, "wrong")
    for path in ("", *paths[:3]):
        status, headers, _ = page_by(through(wrong), path)
        assert status == 401
        assert headers["www-authenticate"].startswith("Basic")
