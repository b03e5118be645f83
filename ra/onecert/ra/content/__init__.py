"""What is typed: the table of fields, alphabets, check digits, requests, and the checked content."""
