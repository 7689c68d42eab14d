"""Names that only one plugin may give."""

from collections.abc import Iterable, Iterator
from typing import Any

from common.core.hook_rules import Claim, HookRule
from common.core.plugins._records import Collected, PluginRecord

_Holder = tuple[PluginRecord, Claim]
_Key = tuple[str, str, bool]


def settle_claims(records: Iterable[PluginRecord], newcomers: Iterable[PluginRecord]) -> None:
    """Fail each of *newcomers* that claims a name of an earlier plugin, or one of its own twice; both are named.

    A plugin that fails holds no name, so that it takes nobody else with it.

    Args:
        records: All plugins, in order; those that are loaded and no newcomers keep what they hold.
        newcomers: The plugins whose claims are new.
    """
    new = frozenset(map(id, newcomers))
    held: dict[_Key, _Holder] = {}
    for record in records:
        if record.blocked is not None:
            continue
        claims = dict(_conflict_free(record, held) if id(record) in new else _all_claims(record))
        if record.is_loaded:
            held.update(claims)


def _conflict_free(record: PluginRecord, held: dict[_Key, _Holder]) -> Iterator[tuple[_Key, _Holder]]:
    own: dict[_Key, _Holder] = {}
    for collected in tuple(record.collected):
        try:
            claims = tuple(_claims_of(record, collected))
        except Exception as error:  # noqa: BLE001 - reading a stranger's object; the plugin is named
            record.fail(error, hook=collected.rule.hook)
            continue
        for key, claim in claims:
            holder = held.get(key) or own.get(key)
            if holder is not None and not claim.agrees_with(holder[1]):
                record.fail(_conflict(claim, record, holder[0]), hook=collected.rule.hook)
            own.setdefault(key, (record, claim))
    yield from own.items()


def _all_claims(record: PluginRecord) -> Iterator[tuple[_Key, _Holder]]:
    for collected in record.collected:
        for key, claim in _claims_of(record, collected):
            yield key, (record, claim)


def _claims_of(record: PluginRecord, collected: Collected) -> Iterator[tuple[_Key, Claim]]:
    for claim in collected.rule.claims(collected.contribution.value):
        yield (claim.kind, claim.key, _stands_apart(record, collected.rule)), claim


def _stands_apart(record: PluginRecord, rule: HookRule[Any]) -> bool:
    return rule.family_yields and record.is_family


def _conflict(claim: Claim, record: PluginRecord, other: PluginRecord) -> str:
    if other is record:
        return f"{claim} is given twice"
    differing = "with another value " if claim.value is not None else ""
    return f"{claim} is already given {differing}by {other.origin}"
