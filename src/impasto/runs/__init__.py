"""Files in, files out: planning a run, carrying it out, batches of runs."""
