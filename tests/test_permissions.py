"""The privileges in docs/deploy.md, on a server with security on: enough, and none to spare."""

import itertools
import json
from pathlib import Path

import pytest
from conftest import FIELD, ElasticsearchServer, running, word_documents

from meta4 import DocumentHasher
from meta4.adapter.cli.main import cli
from meta4.adapter.engines.connecting import connect
from meta4.adapter.indexes import create_index
from meta4.adapter.loading import load_documents
from meta4.adapter.rehashing import make_alias
from meta4.adapter.store import ModelStore
from meta4.adapter.tuning import tune_index
from meta4.errors import RefusedError

pytestmark = pytest.mark.server
DEPLOY = Path(__file__).parent.parent / "docs" / "deploy.md"
BASE = "perm-base"
PASSWORD = "meta4-tests-only"
#: bcrypt of it, for the file of users that the server starts with.
HASHED = "$2b$04$t1J24T6coSRvYH3jv8Z/mu9.a4ff9EtKyXDmhwUEaIyhLTrrbZwmm"
#: Who is nobody may ask whether the server is up, as the node does that starts it.
SECURITY = """
xpack.security.enabled: true
xpack.security.authc.anonymous: {username: nobody, roles: health}
"""


class SecuredServer(ElasticsearchServer):
    """With a superuser, `admin`."""

    def configure(self, folders, *others):
        super().configure(folders, *others)
        config = folders.config / "elasticsearch.yml"
        config.write_text(config.read_text().replace("xpack.security.enabled: false\n", SECURITY))
        (folders.config / "users").write_text(f"admin:{HASHED}\n")
        (folders.config / "users_roles").write_text("superuser:admin\n")
        (folders.config / "roles.yml").write_text(
            "health:\n  cluster: ['cluster:monitor/health']\n"
        )


class Site:
    """What the commands work on, made by the superuser."""

    def __init__(self, node, model, sample, folder):
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

    def user(self, cluster, index, models):
        """A user with these privileges and no others."""
        name = self.new()
        indices = [
            {"names": [pattern], "privileges": list(privileges)}
            for pattern, privileges in (("perm-*", index), ("meta4-models", models))
            if privileges
        ]
        role = {"cluster": list(cluster), "indices": indices}
        self.engine.request("PUT", f"/_security/role/{name}", body=role)
        body = {"password": PASSWORD, "roles": [name]}
        self.engine.request("PUT", f"/_security/user/{name}", body=body)
        return self.url(name)


def run(*arguments):
    """A command in this process; raises what it would report."""
    assert not cli.main(args=[str(argument) for argument in arguments], standalone_mode=False)


def search(site):
    body = search_body(site)
    run("similar", "king", "--index", BASE)
    run("analogy", "man", "king", "woman", "--index", BASE)
    run("explain", body, "--index", BASE)
    run("eval", BASE, "--queries", 3)


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
    """(commands, privileges by column) of each row in the table."""
    _, _, rest = DEPLOY.read_text(encoding="utf-8").partition("<!-- permissions -->\n")
    table, _, _ = rest.partition("\n<!-- /permissions -->")
    for line in table.splitlines()[2:]:
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        columns = [[word.strip(" `") for word in cell.split(",") if word.strip()] for cell in cells]
        yield pytest.param(name, columns, id=name)


@pytest.fixture(scope="module")
def site(models, sample, tmp_path_factory):
    with running(SecuredServer("9.4.3")) as node:
        yield Site(node, models["cells"], sample, tmp_path_factory.mktemp("site"))


def test_the_table_has_all_commands():
    assert [row.values[0] for row in rows()] == list(COMMANDS)


@pytest.mark.parametrize(("name", "columns"), list(rows()))
def test_privileges(site, monkeypatch, capsys, name, columns):
    def works(columns):
        site.mine = site.user(*columns)
        monkeypatch.setenv("META4_URL", site.mine)
        capsys.readouterr()
        try:
            COMMANDS[name](site)
        except RefusedError as error:
            assert "answered 403" in str(error)
            return False
        return name != "`index list`" or BASE in capsys.readouterr().out

    assert works(columns)
    for at, column in enumerate(columns):
        for dropped in column:
            fewer = [one for one in column if one != dropped]
            assert not works([*columns[:at], fewer, *columns[at + 1 :]]), f"{dropped} is spare"


def test_a_wrong_password_is_a_refusal(site, monkeypatch):
    monkeypatch.setenv("META4_URL", site.url("admin").replace(PASSWORD, "wrong"))
    with pytest.raises(RefusedError, match="401") as refused:
        run("index", "list")
    assert "wrong" not in str(refused.value)


def test_a_copy_says_no_password(site, capsys):
    name = site.new()
    run("copy", f"{site.url('admin')}/{BASE}", f"{site.url('admin')}/{name}")
    said = "".join(capsys.readouterr())
    assert name in said
    assert PASSWORD not in said


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
