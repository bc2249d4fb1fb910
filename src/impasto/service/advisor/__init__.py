"""What the API is asked and only torch can answer: what a job will take, regions of a picture, encoders' weights.

A process of its own, so that the API's stays small: it starts with the first question and ends when none came for a
while. Rooms: `tasks` (the answers), `process` (hears questions), `client` (asks them).
"""
