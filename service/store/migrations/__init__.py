"""The versions of the database, as Alembic makes them."""
