"""Strangers' pictures, decoded where they can do no harm: in a child process with limits on time and memory.

Rooms: `tasks` (what a child does), `nursery` (the process that forks one child a task), `pool` (asks it, for the API,
which never loads a decoder itself).
"""
