"""``exchange torture``: the ledger on a very bad day, and the proof that it stays exact.

Several processes, each with several threads, do business on one engine while answers are lost, doubled and late, the engine
throttles and conflicts, reads are stale, clocks are wrong, and processes are killed in the middle. Then everything is
counted: accounts, journals, orders, streams, and what every caller was told.
"""
