"""Picture files: their bytes, formats, metadata and embedded recipe. Nothing here needs torch."""
