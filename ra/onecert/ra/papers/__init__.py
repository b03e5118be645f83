"""Papers: the application form, the receipt, the hand-over slip and the PIN letter, as PDF."""
