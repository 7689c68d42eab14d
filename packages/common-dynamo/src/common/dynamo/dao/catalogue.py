"""The assets that a database knows, kept in memory: what money depends on in an asset never changes."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from common.dynamo.dao.ledger_types import ASSET
from common.dynamo.dao.reading import read_item
from common.dynamo.exceptions import InvalidItem, NotFound
from common.dynamo.execution import Operation
from common.dynamo.requests import KeyCondition, Query
from common.entities import Asset

if TYPE_CHECKING:
    from common.dynamo.database import Database

__all__ = ["Catalogue"]


class Catalogue:
    """One per database, shared by its DAOs. Safe to use from any thread.

    An asset is read when it is first needed, consistently, and then kept for the life of the database object: its
    scale, quote and minimum order value never change once it is created. An inactive asset is not kept.
    """

    def __init__(self, db: "Database") -> None:
        self._db = db
        self._assets: dict[str, Asset] = {}

    def add(self, asset: Asset) -> None:
        """Keep *asset*, which has just been written or read."""
        if asset.active:
            self._assets[asset.id] = asset

    def asset(self, op: Operation, asset_id: str) -> Asset:
        """Return the asset: no round trip where it is known, else 1 read unit and 1 round trip.

        Raises:
            NotFound: There is no such asset.
        """
        known = self._assets.get(asset_id)
        if known is not None:
            return known
        item = read_item(op, self._db.table_of(ASSET), ASSET.item_key(asset_id))
        if item is None:
            raise NotFound("The asset does not exist. Create it with AssetDAO.create first.")
        asset = ASSET.decode(item)
        self.add(asset)
        return asset

    def scales(self, op: Operation, asset_ids: Iterable[str]) -> Mapping[str, int]:
        """Return the decimal places of each asset: no round trip where all are known, else one query of all assets.

        Raises:
            InvalidItem: An account holds an asset that was never created.
        """
        wanted = set(asset_ids)
        known = {asset_id: asset.scale for asset_id, asset in self._assets.items() if asset_id in wanted}
        if len(known) < len(wanted):
            known.update((asset.id, asset.scale) for asset in self._read_all(op))
        missing = wanted - known.keys()
        if missing:
            raise InvalidItem("An account holds an asset that does not exist.", entity="account", field="assets")
        return known

    def _read_all(self, op: Operation) -> list[Asset]:
        assets: list[Asset] = []
        start = None
        while True:
            key = KeyCondition("pk", {"S": "ASSETS"})
            query = Query(table=self._db.table_of(ASSET), key=key, consistent=True, start=start)
            body = op.execute(query).body
            assets += [ASSET.decode(item) for item in body["Items"] if item["_t"] == {"S": ASSET.name}]
            start = body.get("LastEvaluatedKey")
            if start is None:
                break
        for asset in assets:
            self.add(asset)
        return assets
