"""What a run of the contract suite says: each law with the examples that it was tried on, or why it was left out."""

from dataclasses import dataclass

__all__ = ["BrokenContract", "ContractReport", "LawReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LawReport:
    """How one law fared."""

    law: str
    """Its name, such as ``versions``."""
    rules: str
    """The requirements that it stands for, such as ``D18``."""
    examples: int = 0
    """On how many examples it was tried to the end."""
    skipped: str = ""
    """Why it was not tried; empty where it was."""
    broken: str = ""
    """Which field breaks it and how; empty where it holds."""

    def __str__(self) -> str:
        told = self.broken or (f"skipped: {self.skipped}" if self.skipped else f"holds on {self.examples} examples")
        return f"{self.law} ({self.rules}): {told}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractReport:
    """A run over all laws, in their order; its text is one line per law."""

    entity: str
    """The name of the entity type."""
    seed: int
    """Repeats the run."""
    laws: tuple[LawReport, ...]

    @property
    def examples(self) -> int:
        """How many examples were tried, over all laws."""
        return sum(each.examples for each in self.laws)

    @property
    def kept(self) -> tuple[str, ...]:
        """The laws that were tried and hold."""
        return tuple(each.law for each in self.laws if not each.skipped and not each.broken)

    @property
    def skipped(self) -> dict[str, str]:
        """The laws that were left out, each with the reason."""
        return {each.law: each.skipped for each in self.laws if each.skipped}

    @property
    def broken(self) -> dict[str, str]:
        """The laws that do not hold, each with the field and what became of it."""
        return {each.law: each.broken for each in self.laws if each.broken}

    def __str__(self) -> str:
        return "\n".join((f"{self.entity}, seed {self.seed}:", *(f"  {each}" for each in self.laws)))


class BrokenContract(AssertionError):
    """An entity type breaks laws of the data layer; the message names each law and field, :attr:`report` has the rest."""

    def __init__(self, report: ContractReport) -> None:
        broken = [f"  {each}" for each in report.laws if each.broken]
        again = f"Repeat it with seed={report.seed}; one law alone with only=({next(iter(report.broken))!r},)."
        super().__init__("\n".join((f"{report.entity} breaks {len(broken)} of its laws:", *broken, again)))
        self.report = report
