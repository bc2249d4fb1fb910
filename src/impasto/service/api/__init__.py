"""The HTTP API. Neither torch nor numpy is loaded here: pictures are decoded, and jobs painted, in other processes.

Rooms: `app` puts it together · a file each group of routes: `images`, `jobs`, `results`, `events`, `recipes`, `models`,
`sessions`, `health`, `studio` · what they share: `edge` (the rooms behind), `parameters`, `problems` (errors),
`files` (answers that are files), `uploads`, `shelf` and `example_pictures` (pictures), `orders` and `command` (from
requests to jobs), `views` (from records to JSON), `archive` (ZIP) · what requests pass: `guard`, `security`, `limits`,
`metrics` · `broker` and `event_log` (server-sent events) · `openapi`.
"""
