"""What needs an extra says so where the extra is missing, and everything else works (family F7, auth H2)."""

import subprocess
import sys

import pytest

# An interpreter in which the extra's package cannot be found, whether or not it is installed.
WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"fastapi", "starlette"} or name.startswith("common.dynamo"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""

TELL = """
try:
    import MODULE
except ImportError as error:
    print(error)
"""

WORK = """
from common.auth import KeyRing, SigningKey, TokenManager
keys = KeyRing([SigningKey.generate()], issuer="https://id.example")
tokens = TokenManager(issuer="https://id.example", audience="orders", keys=keys)
print(tokens.validate(tokens.create_access("u-1", session="s-1", epoch=0).token).subject)
"""

LISTING = """
from common.core import Plugins, Settings
plugins = Plugins()
plugins.load(Settings(), only=(), block=("common-dynamo", "common-observability"))
print([listing.state.value for listing in plugins.listing() if listing.name == "common-auth"])
"""


def run(code: str) -> str:
    """Run *code* where neither FastAPI nor common-dynamo can be found."""
    answer = subprocess.run([sys.executable, "-I", "-c", WITHOUT + code], capture_output=True, text=True, check=True)
    return answer.stdout.strip()


@pytest.mark.parametrize(
    ("module", "extra"), [("common.auth.gateway.fastapi", "fastapi"), ("common.auth.dynamo.sessions", "dynamo")]
)
def test_the_missing_extra_is_named(module: str, extra: str) -> None:
    """The import error tells distribution and extra."""
    assert f"common-auth[{extra}]" in run(TELL.replace("MODULE", module))


@pytest.mark.parametrize(("code", "answer"), [(WORK, "u-1"), (LISTING, "['loaded']")])
def test_everything_else_works(code: str, answer: str) -> None:
    """Tokens are issued and validated, and the plugin loads and is listed."""
    assert answer == run(code)
