"""A worker: takes jobs from the queue and paints them, one after the other.

Rooms: `process` (start, heartbeat, end) · `workflow` (the durable chain of steps) · `painting` (one attempt: engine,
uploads, orders) · `inputs` (pictures to files) · `overview` (a sweep's sheet and report).
"""
