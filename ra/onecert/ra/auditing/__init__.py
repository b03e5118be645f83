"""For auditors: the whole life of a certificate across its records, and the signed export of the trail."""
