"""Jobs: what callers ask of them (`desk`), what workers do with them (`attempts`), and what everybody reads.

Rooms: `states` (the one table of legal transitions) · `records` (jobs as they are handed out) · `desk` (create, pause,
resume, stop, cancel, change, retry, delete) · `groups` (sweeps and batches) · `listing` · `images` · `events` (the log
that streams read) · `turns` (the fair order) · `attempts` (the worker's side) · `retention`.
"""
