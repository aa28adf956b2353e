"""Fetch what draws the page's plots, as npm has it: python …/page/static/vega/make_vega.py.

Vega, Vega-Lite and Vega's interpreter, which needs no `eval`; all under the licence that the
package of Vega-Lite has (BSD, 3 clauses), which lies beside this file. Vega holds parts of D3
(Mike Bostock, ISC). These are the last versions that a browser takes without a build step.
"""

import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

#: By package and version, the checksum that npm tells of it.
_PACKAGES = {
    "vega@5.33.1": (
        "sha512-1fArfVDUqVbb5z8n+/nVQb+VNBzx8svY6CrsyTK4Ujm4yrd9I1auoKxBAPXLCavY1LcrbHUskQbGUP8gXOzyQw=="
    ),
    "vega-lite@5.23.0": (
        "sha512-l4J6+AWE3DIjvovEoHl2LdtCUkfm4zs8Xxx7INwZEAv+XVb6kR6vIN1gt3t2gN2gs/y4DYTs/RPoTeYAuEg6mA=="
    ),
    "vega-interpreter@1.2.1": (
        "sha512-EMHLGxJ+SWfh1K/fHDRlHEZtLA/2ZNAXItYb5e8CxuAIm/Ha/3DHX/8VlvbTGIciUpuwmcKx4tVhJWlKreQ/Yw=="
    ),
}


def main() -> None:
    """Write the three files, and the licence."""
    folder = Path(__file__).parent
    for package, wanted in _PACKAGES.items():
        name = package.partition("@")[0]
        with tempfile.TemporaryDirectory() as made:
            subprocess.run(["npm", "pack", "--silent", package], cwd=made, check=True)
            (archive,) = Path(made).iterdir()
            digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
            if wanted != f"sha512-{digest}":
                sys.exit(f"{package}: expected {wanted}, got sha512-{digest}")
            with tarfile.open(archive) as files:
                for inside in (f"package/build/{name}.min.js", "package/LICENSE"):
                    if inside in files.getnames():
                        content = files.extractfile(inside)
                        assert content is not None
                        (folder / Path(inside).name).write_bytes(content.read())


if __name__ == "__main__":
    main()
