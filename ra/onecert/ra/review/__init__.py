"""Review: what waits for whom and how long, who reviews next, reasons of a return, when two must agree."""
