"""What the service keeps: records in a database, tables and models as files named by content hash."""
