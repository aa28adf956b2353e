"""Servers of both engines with security on, and a superuser."""

import os
import shutil

import trustme
from cryptography.hazmat.primitives import serialization

from meta4.adapter.engines.node.artifacts import Artifact, ensure, fetch, unpack
from meta4.adapter.engines.node.elasticsearch import ElasticsearchServer
from meta4.adapter.engines.node.opensearch import VERSION, OpenSearchServer

PASSWORD = "meta4-tests-only"
#: bcrypt of it.
HASHED = "$2b$04$t1J24T6coSRvYH3jv8Z/mu9.a4ff9EtKyXDmhwUEaIyhLTrrbZwmm"
#: Who is nobody may ask whether the server is up, as the node does that starts it.
XPACK = """
xpack.security.enabled: true
xpack.security.authc.anonymous: {username: nobody, roles: health}
"""

PLUGIN = Artifact(
    "org.opensearch.plugin",
    "opensearch-security",
    "3.4.0.0",
    "zip",
    "fc164c084979f7f793d295b6bca56bf8bee76dafb762adef9f14fa872e0a7596",
)
#: Classes that the server brings itself, in another version.
TWICE = ("bc-fips", "bcpkix-fips", "bcutil-fips")
PLUGINS_SECURITY = """
plugins.security.ssl.transport.pemcert_filepath: node.pem
plugins.security.ssl.transport.pemkey_filepath: node.key
plugins.security.ssl.transport.pemtrustedcas_filepath: ca.pem
plugins.security.ssl.transport.enforce_hostname_verification: false
plugins.security.ssl.http.enabled: false
plugins.security.allow_default_init_securityindex: true
plugins.security.restapi.roles_enabled: [all_access]
"""
CONFIG = """
_meta: {type: config, config_version: 2}
config:
  dynamic:
    http: {anonymous_auth_enabled: true}
    authc:
      users:
        http_enabled: true
        order: 0
        http_authenticator: {type: basic, challenge: false}
        authentication_backend: {type: internal}
"""
USERS = f"""
_meta: {{type: internalusers, config_version: 2}}
admin: {{hash: "{HASHED}", backend_roles: [admin]}}
"""
ROLES = """
_meta: {type: roles, config_version: 2}
health: {cluster_permissions: ["cluster:monitor/health"]}
"""
MAPPING = """
_meta: {type: rolesmapping, config_version: 2}
all_access: {backend_roles: [admin]}
health: {backend_roles: [opendistro_security_anonymous_backendrole]}
"""


class SecuredElasticsearch(ElasticsearchServer):
    """With a superuser, `admin`."""

    def configure(self, folders, *others):
        super().configure(folders, *others)
        config = folders.config / "elasticsearch.yml"
        config.write_text(config.read_text().replace("xpack.security.enabled: false\n", XPACK))
        (folders.config / "users").write_text(f"admin:{HASHED}\n")
        (folders.config / "users_roles").write_text("superuser:admin\n")
        (folders.config / "roles.yml").write_text(
            "health:\n  cluster: ['cluster:monitor/health']\n"
        )


class SecuredOpenSearch(OpenSearchServer):
    """The same; its plugin is the newest that there is, two versions older than the server."""

    def home(self, progress):
        base = super().home(progress)

        def build(staging):
            shutil.copytree(base, staging / "result", copy_function=os.link)
            plugin = staging / "result" / "plugins" / "opensearch-security"
            unpack(fetch(PLUGIN, staging, progress), plugin)
            descriptor = plugin / "plugin-descriptor.properties"
            said = descriptor.read_text()
            descriptor.write_text(
                said.replace("opensearch.version=3.4.0", f"opensearch.version={VERSION}")
            )
            for name in TWICE:
                (jar,) = plugin.glob(f"{name}-*.jar")
                jar.unlink()

        return ensure(f"opensearch-{VERSION}-knn-security", build)

    def configure(self, folders, home, *others):
        super().configure(folders, home, *others)
        config = folders.config / "opensearch.yml"
        config.write_text(config.read_text() + PLUGINS_SECURITY)
        authority = trustme.CA()
        node = authority.issue_cert("node.test")
        key = serialization.load_pem_private_key(node.private_key_pem.bytes(), None)
        pkcs8 = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (folders.config / "node.key").write_bytes(pkcs8)
        (folders.config / "node.pem").write_bytes(node.cert_chain_pems[0].bytes())
        authority.cert_pem.write_to_path(folders.config / "ca.pem")
        security = folders.config / "opensearch-security"
        security.mkdir(exist_ok=True)
        for given in (home / "plugins" / "opensearch-security" / "config").glob("*.yml"):
            shutil.copy(given, security / given.name)
        for name, text in (
            ("config", CONFIG),
            ("internal_users", USERS),
            ("roles", ROLES),
            ("roles_mapping", MAPPING),
        ):
            (security / f"{name}.yml").write_text(text)
