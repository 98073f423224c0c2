"""The report: one HTML page that opens from disk, without a server and without a network."""
