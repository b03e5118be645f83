-- Once, as a superuser of the server: the account that synchronises, the mark, and the roles that may be given.
CREATE ROLE onecert_managed NOLOGIN;
CREATE ROLE onecert_enforce LOGIN CREATEROLE;
GRANT pg_signal_backend TO onecert_enforce;
CREATE ROLE tax_reader NOLOGIN;
CREATE ROLE tax_approver NOLOGIN;
GRANT onecert_managed TO tax_reader, tax_approver;
-- From PostgreSQL 16 on, CREATEROLE alone may not give roles that others have made:
-- GRANT onecert_managed, tax_reader, tax_approver TO onecert_enforce WITH ADMIN OPTION, INHERIT FALSE, SET FALSE;
