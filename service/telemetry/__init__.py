"""What an operator sees of a running service: structured logs, their lines on disk, metrics."""
