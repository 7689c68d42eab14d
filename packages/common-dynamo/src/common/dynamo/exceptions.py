"""Errors of the data layer and the ledger. No message holds an attribute value or a key value.

::

    CommonError
    └── DynamoError
        ├── NotFound                404  the item does not exist
        ├── ConditionFailed         409  the caller's condition did not hold; .stored is the decoded item
        │   ├── AlreadyExists            an item with this key exists
        │   ├── VersionConflict          another writer was faster; .expected
        │   └── UniqueViolation          another item owns the value; .field
        ├── TransactionCanceled     409  .failures, in the caller's order
        ├── InvalidItem             500  stored data does not fit its model; .field, .stored_type
        ├── InvalidCursor           400  a cursor that is not ours, or belongs to another query
        ├── BudgetExceeded          503  an access pattern cost more than it may
        ├── Unavailable             503  certainly not applied; repeat the call
        ├── OutcomeUnknown          503  may have been applied, or still may; repeat with the same request id
        ├── RequestRefused          500  the engine refused the request as such: validation, access denied, no table
        └── LedgerRefusal           409  final, not applied
            ├── InsufficientFunds        .available
            ├── AccountClosed
            ├── AccountNotFound     404
            ├── RequestIdReused          the id belongs to a request with other input
            └── OrderConflict            .current, .final

``Unavailable`` and ``OutcomeUnknown`` share no base class but the root of all errors here, so that nobody retries the
second by catching the first.
"""
