"""Operators of the registration authority: roles, where each one's word counts, four-eyes enrolment, and the
certificate behind each act. Accounts and sign-in are `onecert.server.operators`."""
