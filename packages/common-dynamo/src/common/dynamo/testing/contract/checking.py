"""Running the laws: each on its own examples, from one seed, shrunk to the smallest example where one does not hold."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, HypothesisException, Unsatisfiable
from hypothesis.strategies import DataObject, SearchStrategy
from pydantic import BaseModel

from common.dynamo.database import Database
from common.dynamo.entity_type import EntityType
from common.dynamo.testing.contract import item_laws, lock_laws, read_laws, write_laws
from common.dynamo.testing.contract.report import ContractReport, LawReport
from common.dynamo.testing.contract.stage import Broken, Law, Stage
from common.dynamo.testing.contract.strategies import derive_models
from common.exceptions import ConfigurationError

__all__ = ["LAWS", "run_contract"]

M = TypeVar("M", bound=BaseModel)

LAWS: Final[tuple[Law, ...]] = (*item_laws.LAWS, *write_laws.LAWS, *lock_laws.LAWS, *read_laws.LAWS)
"""All laws, in the order in which they are tried and reported."""

_SHRINKS: Final = 40
"""Failing examples after which no smaller one is looked for: a readable example is worth a second, not a minute."""
_NO_EXAMPLE: Final = "no example could be used: the strategy makes too few different models"


def run_contract(
    database: Database,
    entity: EntityType[M],
    strategy: SearchStrategy[M] | None,
    *,
    examples: int,
    seed: int,
    only: frozenset[str],
) -> ContractReport:
    """Try the laws and report; see :func:`common.dynamo.testing.check_entity_type`."""
    unknown = sorted(only - {law.name for law in LAWS})
    if unknown:
        known = ", ".join(law.name for law in LAWS)
        raise ConfigurationError(f"There is no law {', '.join(unknown)}; there are {known}.")
    stage = Stage(database, entity, derive_models(entity, {}) if strategy is None else strategy)
    laws = [law for law in LAWS if not only or law.name in only]
    reports = tuple(_try(stage, law, examples=examples, chosen_seed=seed) for law in laws)
    return ContractReport(entity=entity.name, seed=seed, laws=reports)


def _try(stage: Stage[Any], law: Law, *, examples: int, chosen_seed: int) -> LawReport:
    reason = law.needs(stage.entity)
    if reason:
        return LawReport(law=law.name, rules=law.rules, skipped=reason)
    done: list[None] = []
    failed: list[str] = []

    def example(data: DataObject) -> None:
        stage.begin(data)
        try:
            law.check(stage)
        except Exception as error:
            if isinstance(error, HypothesisException):  # an example that was given up, not one that failed
                raise
            failed.extend(map(repr, stage.shown[:1]))
            if len(failed) >= _SHRINKS:
                stage.admitted = frozenset(failed)
            raise
        done.append(None)

    broken = ""
    try:
        _hypothesis(example, examples, chosen_seed)()
    except Unsatisfiable:
        pass
    except Flaky as error:
        broken = f"not every time, as with a race: {_first(error)}{_with(stage)}"
    except Broken as error:
        broken = f"{error}{_with(stage)}"
    except Exception as error:  # noqa: BLE001 - a model's or a scale's own code may raise whatever it likes
        broken = f"{type(error).__name__}: {error}{_with(stage)}"
    finally:
        stage.admitted = None
        stage.reset()
    skipped = _NO_EXAMPLE if not done and not broken else ""
    return LawReport(law=law.name, rules=law.rules, examples=len(done), skipped=skipped, broken=broken)


def _hypothesis(example: Callable[[DataObject], None], examples: int, chosen_seed: int) -> Callable[[], None]:
    """Return what runs *example* on generated data, without a database of examples, so that a seed is all of a run."""
    options = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        print_blob=False,
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    run: Callable[[], None] = seed(chosen_seed)(options(given(st.data())(example)))
    return run


def _first(error: BaseException) -> BaseException:
    """Return the error of the law itself, which hypothesis has seen once and could not repeat."""
    inner = getattr(error, "exceptions", ())
    return _first(inner[0]) if inner else error.__cause__ or error


def _with(stage: Stage[Any]) -> str:
    """Return the models of the smallest example."""
    shown = list(dict.fromkeys(map(repr, stage.shown)))[:3]
    return "".join(f"\n    with {each}" for each in shown)
