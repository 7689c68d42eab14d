"""common-auth needs none of the other parts but common-core, nor what they need (auth X5)."""

import subprocess
import sys
from importlib import metadata

IMPORT_ALL = """
import importlib, pathlib, sys
import common.auth
print("door", *sorted(name for name in sys.modules if name.startswith("common.")))
root = pathlib.Path(common.auth.__path__[0])
for path in root.rglob("*.py"):
    parts = path.relative_to(root).with_suffix("").parts
    if parts[0] not in ("testing", "dynamo") and parts != ("gateway", "fastapi"):
        importlib.import_module(".".join(("common.auth", *parts)).removesuffix(".__init__"))
print("all", *sys.modules)
"""

FOREIGN = (
    "common.dynamo",
    "common.observability",
    "boto3",
    "botocore",
    "opentelemetry",
    "fastapi",
    "starlette",
    "pytest",
)


def loaded() -> dict[str, list[str]]:
    """Return the modules that the door loads, and those that all modules together load, in a fresh interpreter."""
    result = subprocess.run([sys.executable, "-I", "-c", IMPORT_ALL], check=True, capture_output=True, text=True)
    return {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()}


def test_no_foreign_part_is_loaded() -> None:
    """Importing every module loads nothing of another part, whatever is installed beside it."""
    modules = loaded()["all"]

    assert "common.auth.security.token_manager" in modules
    assert [] == [name for name in modules for part in FOREIGN if name == part or name.startswith(f"{part}.")]


def test_the_door_is_light() -> None:
    """``import common.auth`` loads no other module, hence neither bcrypt nor cryptography."""
    assert ["common.auth"] == loaded()["door"]


def test_the_declared_dependencies_are_all_it_needs() -> None:
    """common-core, bcrypt and PyJWT; FastAPI and common-dynamo only by their extras."""
    required = [line for line in metadata.requires("common-auth") or () if "extra ==" not in line]

    names = (line.split(">")[0].split("~")[0].split("<")[0].split("[")[0].strip().lower() for line in required)

    assert ["bcrypt", "common-core", "pyjwt"] == sorted(names)
