"""Who we are to a cluster and whom we trust."""

import ssl

import pytest
import trustme
from support.command_line import meta4
from support.servers import proxy_before

from meta4.adapter.engines.access import Access
from meta4.adapter.engines.connection import connect
from meta4.errors import InputError, UnreachableError


def written(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No variable or file of whoever runs the tests."""
    for name in ("URL", "USER", "PASSWORD", "API_KEY", "CA_FILE", "CLIENT_CERT", "CLIENT_KEY"):
        monkeypatch.delenv(f"META4_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("META4_CONFIG", raising=False)


def test_the_environment_goes_before_the_file(monkeypatch, tmp_path):
    assert Access.read() == Access()
    config = written(tmp_path / "c.toml", 'url = "http://a:1"\nuser = "u"\npassword = "p"\n')
    monkeypatch.setenv("META4_CONFIG", str(config))
    assert Access.read() == Access("http://a:1", "u", "p")
    monkeypatch.setenv("META4_URL", "http://b:2")
    monkeypatch.setenv("META4_API_KEY", "k")
    assert Access.read() == Access("http://b:2", api_key="k")
    assert "p" not in repr(Access(user="u", password="p")).replace("password", "").split("user")[1]


def test_what_is_refused(monkeypatch, tmp_path):
    for text, mode, said in (
        ('user = "u"\npassword = "p"', 0o644, "chmod 600"),
        ("user = ", 0o600, "not TOML"),
        ('usr = "u"', 0o600, "usr: expected strings named"),
        ("user = 3", 0o600, "user: expected strings"),
        ('user = "u"', 0o600, "belong together"),
        ('ca_file = "/none.pem"', 0o600, "no such file"),
    ):
        config = written(tmp_path / "c.toml", text, mode)
        monkeypatch.setenv("META4_CONFIG", str(config))
        with pytest.raises(InputError, match=said):
            Access.read()
    with pytest.raises(InputError, match="leave one of them out"):
        Access(user="u", password="p", api_key="k")


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def trusted(authority, tmp_path):
    """The authority's certificate, and one of ours with its key."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    ours = authority.issue_cert("client")
    ours.private_key_pem.write_to_path(tmp_path / "key.pem")
    ours.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    return {
        "ca_file": str(tmp_path / "ca.pem"),
        "client_cert": str(tmp_path / "cert.pem"),
        "client_key": str(tmp_path / "key.pem"),
    }


def encrypted(node, authority, *, name="127.0.0.1", asks=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
    return proxy_before(node, context)


@pytest.mark.server
def test_certificates_are_verified(node, authority, trusted):
    ca = Access(ca_file=trusted["ca_file"])
    with encrypted(node, authority) as proxy:
        with pytest.raises(UnreachableError, match="META4_CA_FILE"):
            connect(proxy.url)
        assert connect(proxy.url, ca).version()
    with (
        encrypted(node, authority, name="other.host") as proxy,
        pytest.raises(UnreachableError, match="META4_CA_FILE"),
    ):
        connect(proxy.url, ca)


@pytest.mark.server
def test_a_client_s_certificate_is_shown(node, authority, trusted):
    with encrypted(node, authority, asks=True) as proxy:
        with pytest.raises(UnreachableError):
            connect(proxy.url, Access(ca_file=trusted["ca_file"]))
        assert connect(proxy.url, Access(**trusted)).version()


@pytest.mark.server
def test_the_command_line_takes_it_from_the_environment(node, authority, trusted):
    with encrypted(node, authority, asks=True) as proxy:
        variables = {f"META4_{name.upper()}": value for name, value in trusted.items()}
        listed = meta4("index", "list", url=proxy.url, env=variables)
        assert listed.returncode == 0, listed.stderr
        refused = meta4("index", "list", url=proxy.url)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
