"""The reports: one HTML page a model that opens from disk, without a server and without a network."""
