"""The database: tables, transactions, and the migrations between versions of the schema."""
