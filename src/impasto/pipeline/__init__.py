"""Pictures in, picture out: what lies between the files and the engine."""
