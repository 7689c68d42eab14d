"""What needs an extra says so, and costs nothing where it is not used."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

ABSENT = """
import sys
for name in ("rich", "fastapi", "starlette", "opentelemetry.exporter.otlp"):
    sys.modules[name] = None
"""


@pytest.mark.parametrize(
    ("code", "extra"),
    [
        ("import common.observability.monitoring.dev", "dev"),
        ("from common.observability import configure; configure(dev=True)", "dev"),
        ("import common.observability.health.fastapi", "fastapi"),
        ("from common.observability import configure; configure(otlp_endpoint='http://127.0.0.1:4318')", "otlp"),
    ],
)
def test_the_error_names_distribution_and_extra(code: str, extra: str, python: Run) -> None:
    """Switching on what is not installed raises an ``ImportError`` that says what to add."""
    program = f"{ABSENT}\ntry:\n    {code}\nexcept ImportError as error:\n    print(type(error).__name__, error)\n"

    expected = f"Add common-observability[{extra}] to the service's dependencies; see Installing in the README."
    output = python(program).stdout
    assert output.startswith("MissingPart ")
    assert expected in output


@pytest.mark.parametrize("module", ["dev", "otlp"])
def test_a_broken_library_is_not_taken_for_a_missing_one(module: str, python: Run) -> None:
    """An import that fails inside of an installed library keeps its own error."""
    program = f"""
import importlib.abc, importlib.util, sys
class Broken(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name in ("rich.box", "opentelemetry.exporter.otlp.proto.http.metric_exporter") or name == "rich" or (
            name.startswith("opentelemetry.exporter")
        ):
            return importlib.util.spec_from_loader(name, self, is_package=True)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        if module.__name__ in ("rich.box", "opentelemetry.exporter.otlp.proto.http.metric_exporter"):
            import no_such_dependency
sys.meta_path.insert(0, Broken())
try:
    import common.observability.monitoring.{module}
except ImportError as error:
    print(type(error).__name__, error.name)
"""
    assert "ModuleNotFoundError no_such_dependency\n" == python(program).stdout


def test_the_view_is_off_by_default_and_then_free(python: Run) -> None:
    """No processor is added, and neither the view nor rich is imported."""
    program = """
import sys
from opentelemetry import trace
from common.observability import configure
configure(service_name="orders")
print(len(trace.get_tracer_provider()._active_span_processor._span_processors))
print([name for name in sys.modules if name.partition(".")[0] == "rich" or name.endswith("monitoring.dev")])
"""
    assert "0\n[]\n" == python(program).stdout


def test_importing_the_door_imports_no_opentelemetry(python: Run) -> None:
    """A name is imported when it is first used."""
    program = """
import sys
import common.observability
print("opentelemetry" in sys.modules, "bind" in dir(common.observability))
from common.observability import bind
print("opentelemetry.sdk" in sys.modules)
from common.observability import configure
print("opentelemetry.sdk" in sys.modules)
try:
    common.observability.no_such_name
except AttributeError as error:
    print(error)
"""
    assert (
        "False True\nFalse\nTrue\nmodule 'common.observability' has no attribute 'no_such_name'\n"
        == python(program).stdout
    )
